/** What a process counts where no guard is at hand. */
export const counters = {
  /** Rows of usage that were dropped because the store was away. */
  usageDropped: 0,
  /** Changes whose audit event could not be kept. */
  auditFailures: 0,
};
