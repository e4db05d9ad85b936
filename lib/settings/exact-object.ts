import { z } from 'zod';
import { unknownMember } from '../option-rules';

/** An object with exactly these members. For a misspelt one the error names the right one. */
export const exactly = <Shape extends z.ZodRawShape>(shape: Shape, wanted: string) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((name) => unknownMember(name, Object.keys(shape))).join('; ')
        : `is not ${wanted}`,
  });
