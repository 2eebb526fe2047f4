// All texts of the application: the areas put together.
import { common } from './common';
import { login } from './login';

export const dictionary = { ...common, ...login };
