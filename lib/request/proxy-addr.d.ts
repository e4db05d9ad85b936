/** Types for the part of the package that is used: it ships none. */
declare module 'proxy-addr' {
  interface ConnectionFacts {
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly connection: { readonly remoteAddress: string | undefined };
  }
  type Trust = (address: string, hop: number) => boolean;
  function proxyAddr(req: ConnectionFacts, trust: Trust): string | undefined;
  namespace proxyAddr {
    function compile(subnets: readonly string[]): Trust;
  }
  export = proxyAddr;
}
