// Rows of the worklist, grouped by class. Double click or Enter opens.
import { Fragment } from 'preact';
import type { WorklistItem } from '../api/types';
import { GateTag } from '../ecg/acquisition';
import { t } from '../i18n';
import { age, institution, person, sex, shortTime } from '../lib/format';
import { now, useMedia } from '../lib/hooks';
import { grouped, waiting } from '../lib/worklist';
import { session } from '../session';
import { Mod, Tag } from '../ui/base';
import { PriorityTag, WaitBar } from '../ui/states';
import { StudyState } from '../ui/status';

const WIDE_COLUMNS = 10;
const NARROW_COLUMNS = 7;

interface Props { items: readonly WorklistItem[]; gone: Set<string>; selected: string | null; fetchedAt: number; label: string; onSelect: (uid: string) => void; onOpen: (item: WorklistItem) => void }

function Row({ item, gone, selected, fetchedAt, onSelect, onOpen }: Omit<Props, 'items' | 'gone' | 'selected' | 'label'> & { item: WorklistItem; gone: boolean; selected: boolean }) {
  const finished = item.status === 'signed' || item.status === 'amended';
  const author = item.author ?? (item.claimed_by?.mine ? item.claimed_by : null);
  return (
    <tr tabindex={0} data-testid="worklist-row" data-study-uid={item.study_uid} data-status={item.status} data-priority={item.priority} aria-selected={selected} class={gone ? 'gone' : ''}
      onClick={() => onSelect(item.study_uid)} onFocus={() => onSelect(item.study_uid)} onDblClick={() => onOpen(item)}>
      <td class="c-pri"><PriorityTag priority={item.priority} /></td>
      <td class="c-st">{gone ? <span class="faint">{t('worklist.left')}</span> : <StudyState item={item} />}</td>
      <td class="c-wait">{finished ? <span class="muted">{shortTime(item.study_at ?? item.received_at, now.value)}</span> : <WaitBar wait={waiting(item, fetchedAt, now.value)} />}</td>
      <td class="nm c-nm"><b>{item.patient.name}</b><span>{sex(item.patient.sex)} {age(item.patient.age_text, item.patient.birth_date)}</span></td>
      <td class="c-ex" title={item.item_name}><Mod>{item.modality}</Mod>{!!item.critical?.open && <><Tag tone="crit" icon="bell">{t('nav.critical')}</Tag> </>}{!item.critical?.open && item.machine_flags?.some((f) => f.critical) && <><Tag tone="warn" icon="heart">{t('worklist.machine')}</Tag> </>}{item.acquisition && <><GateTag gate={item.acquisition} /> </>}{item.modality === 'ECG' && !item.has_waveform && item.images > 0 && <><Tag tone="warn" icon="doc">{t('ecg.document')}</Tag> </>}{item.item_name || item.study_description}</td>
      <td class="c-org muted">{institution(item.institution)}</td>
      <td class="c-time num muted">{shortTime(item.requested_at ?? item.received_at, now.value)}</td>
      <td class="c-img num muted">{item.images}</td>
      <td class={`c-prior num ${item.priors ? '' : 'faint'}`}>{item.priors || '–'}</td>
      <td class={`c-wr ${author?.user === session.value?.user ? 'strong' : 'muted'}`}>{author ? (author.user === session.value?.user ? t('worklist.me') : person(author)) : <span class="faint">–</span>}</td>
    </tr>
  );
}

export function Rows({ items, gone, selected, fetchedAt, label, onSelect, onOpen }: Props) {
  const columns = useMedia('(max-width: 1360px)') ? NARROW_COLUMNS : WIDE_COLUMNS;
  return (
    <table class="grid" role="grid" aria-label={label}>
      <colgroup>
        <col style={{ width: '92px' }} /><col style={{ width: '118px' }} /><col style={{ width: '114px' }} /><col style={{ width: '154px' }} /><col />
        <col class="c-org" style={{ width: '118px' }} /><col class="c-time" style={{ width: '88px' }} /><col class="c-img" style={{ width: '56px' }} /><col class="c-prior" style={{ width: '50px' }} /><col class="c-wr" style={{ width: '70px' }} />
      </colgroup>
      <thead>
        <tr>
          <th scope="col">{t('priority')}</th><th scope="col">{t('field.status')}</th><th scope="col">{t('worklist.col.wait')}</th><th scope="col">{t('field.patient')}</th><th scope="col">{t('field.exam')}</th>
          <th scope="col" class="c-org">{t('worklist.col.from')}</th><th scope="col" class="c-time num">{t('worklist.col.ordered')}</th><th scope="col" class="c-img num">{t('worklist.col.images')}</th><th scope="col" class="c-prior num">{t('worklist.col.priors')}</th><th scope="col" class="c-wr">{t('worklist.col.author')}</th>
        </tr>
      </thead>
      <tbody>
        {grouped(items).map((group) => (
          <Fragment key={group.priority}>
            <tr class="grp"><td colSpan={columns}><b>{t(`priority.${group.priority}`)}</b>{t('worklist.group', { n: group.items.length })}</td></tr>
            {group.items.map((item) => (
              <Row key={item.study_uid} item={item} gone={gone.has(item.study_uid)} selected={item.study_uid === selected} fetchedAt={fetchedAt} onSelect={onSelect} onOpen={onOpen} />
            ))}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}
