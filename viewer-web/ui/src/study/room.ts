// What the reading page gives to the images or the ECG paper.
import type { Study } from '../api/types';
import type { DialogName } from '../report/dialogs';
import type { ReportStore } from '../report/store';

export interface RoomProps {
  study: Study; store: ReportStore; dialog: DialogName | null; onDialog: (name: DialogName | null) => void; onChanged: () => Promise<void>; onNext: () => void;
}
