// Reading page: patient, clock, claim, then images or ECG paper, with the report beside them.
import type { FunctionComponent } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { claim, claimChanged, holderOf, release } from '../api/actions';
import { ApiError, get } from '../api/client';
import { onLive } from '../api/events';
import { url } from '../api/paths';
import type { Study } from '../api/types';
import { t } from '../i18n';
import { useKeys, useResource, useTitle } from '../lib/hooks';
import { neighbour } from '../lib/reading-list';
import { navigate } from '../lib/router';
import { forgetStudy, prefetchStudy } from '../lib/study-cache';
import type { DialogName } from '../report/dialogs';
import { ReportStore } from '../report/store';
import { may } from '../session';
import { Band } from '../study/band';
import type { RoomProps } from '../study/room';
import { Empty } from '../ui/base';
import { ErrorNote, reasonOf, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import { warm } from '../viewer/load-engine';
import '../styles/study.css';

export { warm };
const LEASE_RENEW_MS = 4 * 60_000;

export default function StudyPage({ uid }: { uid: string }) {
  const detail = useResource(uid, () => prefetchStudy(uid));
  const store = useMemo(() => new ReportStore(uid), [uid]);
  const [dialog, setDialog] = useState<DialogName | null>(null);
  const [Room, setRoom] = useState<FunctionComponent<RoomProps> | null>(null);
  const study = detail.data;
  useTitle(study ? `${study.patient.name} ${study.item_name} · ${t('app.name')}` : t('app.name'));

  useEffect(() => {
    void store.load();
    return () => store.dispose();
  }, [store]);
  useEffect(() => {
    if (!study) return;
    const load: Promise<{ default: FunctionComponent<RoomProps> }> = roomOf(study);
    void load.then((module) => setRoom(() => module.default));
  }, [study?.has_waveform, study?.modality]);

  const refresh = async () => {
    forgetStudy(uid);
    try {
      detail.set(await get<Study>(url('study', { uid })));
      await store.load();
    } catch {
      // what is shown stays; the next action reports the failure
    }
  };
  const latest = useRef(refresh);
  latest.current = refresh;
  useStudyEvents(uid, latest);
  useLease(uid, study, latest);

  const take = async () => {
    try {
      await claim(uid);
    } catch (cause) {
      const holder = holderOf(cause);
      say(holder ? t('study.held', { name: holder.display_name }) : cause instanceof ApiError ? reasonOf(cause) : String(cause), true);
    }
    await refresh();
  };
  const letGo = async () => {
    await store.save();
    try {
      await release(uid);
    } catch (cause) {
      say(cause instanceof ApiError ? reasonOf(cause) : String(cause), true);
    }
    await refresh();
  };
  const next = () => {
    const to = neighbour(uid, 1);
    if (to) navigate(`/study/${to}`);
    else navigate('/worklist');
  };
  useKeys({ n: next, Escape: () => false });

  if (detail.error && !study) {
    return <main class="page"><ErrorNote error={detail.error} onRetry={() => void detail.reload()} /><p><a href={may('worklist.read') ? '/worklist' : '/patients'}>{t('act.back')}</a></p></main>;
  }
  if (!study) return <main class="page"><Skeleton rows={8} /></main>;
  return (
    <>
      <Band study={study} onClaim={take} onRelease={letGo} onCritical={() => setDialog('critical')} />
      {Room ? <Room study={study} store={store} dialog={dialog} onDialog={setDialog} onChanged={refresh} onNext={next} /> : <Empty icon="img" text={t('state.loading')} />}
    </>
  );
}

/** ECGs that came as a report without a waveform have a room of their own. */
function roomOf(study: Study): Promise<{ default: FunctionComponent<RoomProps> }> {
  if (study.has_waveform) return import('../ecg/room');
  const onlyDocuments = study.modality === 'ECG' && !study.series_list.some((series) => series.kind === 'image');
  return onlyDocuments ? import('../ecg/document') : import('../viewer/room');
}

type Refresh = { current: () => Promise<void> };

/** Renews the lease while the page is looked at, and loads anew when this browser's claim changed. */
function useLease(uid: string, study: Study | undefined, latest: Refresh): void {
  const claimed = claimChanged.value;
  useEffect(() => {
    if (claimed?.uid === uid && study && !study.claimed_by?.mine) void latest.current();
  }, [claimed, study?.study_uid]);
  useEffect(() => {
    if (!study?.claimed_by?.mine) return;
    const timer = setInterval(() => document.visibilityState === 'visible' && void claim(uid).catch(() => latest.current()), LEASE_RENEW_MS);
    return () => clearInterval(timer);
  }, [study?.claimed_by?.mine, uid]);
}

/** Loads anew shortly after an event of this study. */
function useStudyEvents(uid: string, latest: Refresh): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const off = onLive((event) => {
      if (event.study_uid !== uid && event.name !== 'resync') return;
      clearTimeout(timer);
      timer = setTimeout(() => void latest.current(), 250);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [uid]);
}
