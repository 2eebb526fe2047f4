// The list on screen: fetched, then changed in place by events; new rows wait until asked for.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api/client';
import { onLive } from '../api/events';
import type { WorklistItem, WorklistPage } from '../api/types';
import { useResource } from '../lib/hooks';
import { mergeLive, ordered } from '../lib/worklist';

const REFRESH_DELAY_MS = 800;
export interface Live { page: WorklistPage; arrived: number; gone: Set<string> }

export function useLiveList(address: string) {
  const [shown, setShown] = useState<WorklistItem[] | null>(null);
  const [live, setLive] = useState<Live | null>(null);
  const list = useResource(address, (signal) => get<WorklistPage>(address, { signal }));
  const [fetchedAt, setFetchedAt] = useState(Date.now());
  useEffect(() => {
    setLive(null);
    if (!list.data) return setShown(null);
    setShown(ordered(list.data.items));
    setFetchedAt(list.fetchedAt);
  }, [list.data]);

  // Live changes: same rows in place, new ones behind a button.
  const shownRef = useRef(shown);
  shownRef.current = shown;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async () => {
      try {
        const page = await get<WorklistPage>(address);
        const current = shownRef.current;
        if (!current) return;
        if (current.length === 0) {
          setShown(ordered(page.items));
          setLive({ page, arrived: 0, gone: new Set() });
          return;
        }
        const merged = mergeLive(current, page.items);
        setShown(merged.items);
        setFetchedAt(Date.now());
        setLive({ page, arrived: merged.arrived, gone: merged.gone });
      } catch {
        // the next event tries again; the connection tag shows the state
      }
    };
    const off = onLive(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void refresh(), REFRESH_DELAY_MS);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [address]);

  const applyLive = () => {
    if (!live) return;
    setShown(ordered(live.page.items));
    setFetchedAt(Date.now());
    setLive({ ...live, arrived: 0, gone: new Set() });
  };
  return { list, shown, fetchedAt, live, applyLive };
}
