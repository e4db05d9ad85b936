import { DeleteKey } from './delete-key';
import { General } from './general';
import { ImportExport } from './import-export';
import { Limits } from './limits';
import type { PanelProps } from './panel-props';
import { Secrets } from './secrets';

export function SettingsTab(props: PanelProps) {
  return (
    <>
      <General {...props} />
      <Limits {...props} />
      <Secrets {...props} />
      <ImportExport {...props} />
      <DeleteKey {...props} />
    </>
  );
}
