// The areas of the dictionary, one line each.
export { common } from './common';
export { ecg } from './ecg';
export { login } from './login';
export { report } from './report';
export { viewer } from './viewer';
export { worklist } from './worklist';
export { admin } from './admin';
export { critical } from './critical';
export { orders } from './orders';
export { patients } from './patients';
