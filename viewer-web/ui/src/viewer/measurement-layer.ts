// Ties the records of measurements to what is drawn, and keeps them with the draft.
import { useEffect, useState } from 'preact/hooks';
import type { ReportStore } from '../report/store';
import { engine } from './load-engine';
import type { MeasurementList } from './measurements';
import { imageIdOf, type PaneModel } from './pane';

type Ask = ((text: string) => void) | null;

/** True when images are drawn without hardware acceleration. */
export function useMeasurementLayer(store: ReportStore, panes: readonly PaneModel[], measurements: MeasurementList, setAsk: (ask: () => Ask) => void): boolean {
  const [cpu, setCpu] = useState(false);
  useEffect(() => {
    let off = false;
    measurements.onChange = (list) => store.edit({ structured: { ...(store.draft.value.structured ?? {}), measurements: list } });
    void engine().then((core) => {
      if (off) return;
      core.clearMeasurements();
      core.onMeasurements(measurements, () => new Promise((resolve) => setAsk(() => resolve)));
      for (const one of panes) {
        const data = one.data.value;
        if (data) core.addMeasurements(measurements.list.value.filter((m) => m.series_uid === data.seriesUid), (m) => imageIdOf(data, m));
      }
      void core.start().then((backend) => setCpu(backend === 'cpu'));
    });
    return () => {
      off = true;
      measurements.onChange = null;
      void engine().then((core) => core.onMeasurements(null));
    };
  }, [measurements]);
  const structured = store.draft.value.structured;
  useEffect(() => {
    const fresh = measurements.merge(structured?.measurements);
    if (fresh.length === 0) return;
    void engine().then((core) => {
      for (const one of panes) {
        const data = one.data.value;
        if (data) core.addMeasurements(fresh.filter((m) => m.series_uid === data.seriesUid), (m) => imageIdOf(data, m));
      }
    });
  }, [structured]);
  return cpu;
}
