import { render } from 'preact';
import './styles/tokens.css';
import './styles/components.css';
import './styles/app.css';
import { App } from './app';
import { Toast } from './ui/toast';
import { isPage } from './routes';
import { interceptLinks } from './lib/router';

interceptLinks(isPage);
const root = document.getElementById('app');
if (root) render(<><App /><Toast /></>, root);
