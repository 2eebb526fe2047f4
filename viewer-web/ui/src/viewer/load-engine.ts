// Fetches and starts the viewer engine once; everything else refers to it by type only.
type Engine = typeof import('./engine');
let loading: Promise<Engine> | null = null;

/** Brings the engine's code into the browser without starting it. */
export const warm = async (): Promise<void> => void (await import('./engine'));

export function engine(): Promise<Engine> {
  loading ??= import('./engine').then(async (core) => {
    await core.start();
    return core;
  });
  loading.catch(() => (loading = null));
  return loading;
}
