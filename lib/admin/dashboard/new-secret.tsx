import { useState } from 'preact/hooks';
import type { Meta } from '../api';
import { CopyButton } from './copy';
import { Dialog } from './dialog';
import { Notice } from './notice';
import type { SecretToShow } from './panel-props';
import { SnippetTabs } from './snippet-tabs';
import { useUnsaved } from './route';
import { nameOf } from './words';

interface NewSecretProps extends SecretToShow {
  readonly meta: Meta;
  readonly onClose: () => void;
}

/** The one time that a new secret is seen. */
export function NewSecret({ meta, settings, secret, title, onClose }: NewSecretProps) {
  const [isClosing, setIsClosing] = useState(false);
  useUnsaved(true); // reloading the page would lose it too

  return (
    <Dialog title={title} wide onClose={() => setIsClosing(true)}>
      <p class="hint">API key secret of “{nameOf(settings)}”</p>
      <p class="secret">
        <code>{secret}</code>
        <CopyButton text={secret} what="secret" label="Copy secret" first />
      </p>
      <Notice warn>
        <p>
          <strong>Copy it now: it is shown this once.</strong> rpc-guard keeps only its digest. Keep it on servers,
          never in a web page or an app.
        </p>
      </Notice>
      <SnippetTabs meta={meta} settings={settings} secret={secret} />
      <footer class="closing">
        <div role="alert">
          {isClosing && <p>The secret will not be shown again. Have you put it where it is needed?</p>}
        </div>
        {isClosing ? (
          <>
            <button key="back" type="button" class="quiet" onClick={() => setIsClosing(false)}>
              Back
            </button>
            <button key="yes" type="button" ref={(button) => button?.focus()} onClick={onClose}>
              Yes, close
            </button>
          </>
        ) : (
          <button key="close" type="button" onClick={() => setIsClosing(true)}>
            Close
          </button>
        )}
      </footer>
    </Dialog>
  );
}
