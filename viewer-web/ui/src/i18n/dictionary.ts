// All texts of the application: the areas put together.
import { admin, common, critical, ecg, login, orders, patients, report, viewer, worklist } from './all';

export const dictionary = { ...common, ...login, ...worklist, ...report, ...viewer, ...ecg, ...patients, ...orders, ...critical, ...admin };
