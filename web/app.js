// What pages do beyond what they say. All of it is an addition: without this file every page is complete.
'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const say = (words) => { const place = one('#said'); if (place) place.textContent = words; };

  // Copying: a button beside each text that is marked for it.
  function offerCopies(root) {
    if (!navigator.clipboard) return;
    for (const text of all('code.copy:not([data-offered])', root)) {
      text.dataset.offered = '';
      const button = document.createElement('button');
      const words = document.body.dataset;
      button.type = 'button';
      button.className = 'copies';
      button.textContent = words.copy ?? 'Copy';
      button.setAttribute('aria-label', `${button.textContent}: ${text.dataset.name ?? text.textContent}`);
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = words.copied ?? 'Copied';
        say(button.textContent);
        setTimeout(() => { button.textContent = words.copy ?? 'Copy'; }, 2000);
      });
      text.after(' ', button);
    }
  }

  // Times are written in UTC; the reader's own time is a hint.
  function hintLocalTimes(root) {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
      day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short',
    });
    for (const time of all('time[datetime]', root)) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) time.title = format.format(at);
    }
  }

  // Live areas. They rest while the reader wants it so, does something in them, looks elsewhere, or is away.
  const PAUSED = 'certmill-paused';
  const AWAY = 10 * 60_000;
  let active = Date.now();
  const isPaused = () => sessionStorage.getItem(PAUSED) === 'yes';
  const isBusy = (area) =>
    one('input:checked, [popover]:popover-open', area) !== null
    || (area.contains(document.activeElement) && document.activeElement.matches('input, select, textarea'));
  for (const event of ['pointermove', 'keydown', 'scroll', 'focus']) {
    addEventListener(event, () => { active = Date.now(); }, { passive: true });
  }

  function showPauses() {
    for (const button of all('[data-pause]')) {
      button.hidden = false;
      button.textContent = isPaused() ? button.dataset.resume : button.dataset.pause;
      button.setAttribute('aria-pressed', String(isPaused()));
    }
    for (const words of all('[data-live-words]')) words.hidden = isPaused();
  }

  addEventListener('click', (event) => {
    const button = event.target.closest?.('[data-pause]');
    if (!button) return;
    sessionStorage.setItem(PAUSED, isPaused() ? 'no' : 'yes');
    showPauses();
    say(button.textContent);
  });

  addEventListener('htmx:config:request', (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceEvent?.type !== 'every') return;
    const rests = isPaused() || document.hidden || Date.now() - active > AWAY || isBusy(ctx.sourceElement);
    if (rests) event.preventDefault();
  });

  // An error, or the log-in page in place of what was asked for, never takes the place of what is there.
  addEventListener('htmx:before:response', (event) => {
    const { raw } = event.detail.ctx.response;
    if (raw.redirected || raw.status >= 400) event.preventDefault();
  });

  // What changed is said, and only that.
  let before = new Map();
  const states = () => new Map(all('[data-say]').map((state) => [state.id, state.dataset.say]));
  addEventListener('htmx:before:swap', () => { before = states(); });
  addEventListener('htmx:after:swap', () => {
    dress(document);
    const changed = [...states()].filter(([id, words]) => before.has(id) && before.get(id) !== words);
    if (changed.length) say(changed.slice(0, 3).map(([, words]) => words).join(' '));
  });

  // Choosing rows: all of this page at once, and a count of them.
  function countChosen(form) {
    const boxes = all('input[name=pick]', form);
    const chosen = boxes.filter((box) => box.checked).length;
    const whole = one('input[data-all]', form);
    if (whole) {
      whole.closest('label').hidden = false;
      whole.checked = chosen > 0 && chosen === boxes.length;
      whole.indeterminate = chosen > 0 && chosen < boxes.length;
    }
    for (const place of all('[data-count]', form)) place.textContent = chosen ? `${chosen} chosen` : '';
  }
  addEventListener('change', (event) => {
    const form = event.target.closest?.('form[data-picks]');
    if (!form) return;
    if (event.target.matches('[data-all]')) {
      for (const box of all('input[name=pick]', form)) box.checked = event.target.checked;
    }
    countChosen(form);
  });

  // Keys, unless they are switched off or somebody writes.
  let going = 0;
  function step(by) {
    const rows = all('tbody th a[href], [data-row] a[href]');
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)].focus();
  }
  addEventListener('keydown', (event) => {
    const writes = event.target.closest?.('input:not([type=checkbox]), select, textarea, [contenteditable]');
    if (writes || event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === 'off') return;
    if (Date.now() - going < 1500) {
      going = 0;
      const way = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (way) { event.preventDefault(); location.assign(way.href); }
      return;
    }
    if (event.key === 'g') { going = Date.now(); return; }
    if (event.key === 'j' || event.key === 'k') { step(event.key === 'j' ? 1 : -1); return; }
    if (event.key === '?') { one('#keys')?.togglePopover(); return; }
    if (event.key !== '/') return;
    const menu = one('#menu');
    let field = one('main input[type=search]') ?? one('#menu input[type=search]');
    if (field && menu?.contains(field) && !field.checkVisibility()) menu.showPopover();
    if (field) { event.preventDefault(); field.focus(); field.select(); }
  });

  function dress(root) {
    offerCopies(root);
    hintLocalTimes(root);
    showPauses();
    for (const form of all('form[data-picks]', root)) countChosen(form);
  }
  dress(document);
})();
