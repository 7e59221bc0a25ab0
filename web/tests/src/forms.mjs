// The forms of a page, as they would be sent.

/** What paths of one page have in common: names and ids are left out. */
export function shapeOf(path) {
  const [bare, query = ''] = path.split('?');
  const words = bare.split('/').map((word) => (/[.%_\d]/.test(word) ? '*' : word));
  const keys = [...new URLSearchParams(query).keys()].sort();
  return `${words.join('/')}?${keys}`;
}

/**
 * @typedef {object} Form
 * @property {string} kind the same for forms that differ only in their values
 * @property {string} page where it stands
 * @property {'GET' | 'POST'} method
 * @property {string} action with its query
 * @property {string} encoding
 * @property {{ name: string, value: string }[]} fields
 */

/** @returns {Promise<Form[]>} */
export async function formsOn(page) {
  const forms = await page.evaluate(() =>
    [...document.forms].map((form) => {
      // By its attribute: `form.action` is a field of that name, where there is one.
      const url = new URL(form.getAttribute('action') ?? '', location.href);
      const fields = [...form.elements].filter((field) => field.name && field.type !== 'file');
      const chosen = fields.filter((field) => !['checkbox', 'radio'].includes(field.type) || field.checked);
      return {
        method: form.method.toUpperCase(),
        path: url.pathname,
        action: url.pathname + url.search,
        encoding: form.enctype,
        names: [...form.elements].map((field) => field.name).filter((name) => name).sort(),
        fields: chosen.map((field) => ({ name: field.name, value: field.value })),
      };
    }),
  );
  const here = new URL(page.url());
  return forms.map((form) => ({
    ...form,
    page: here.pathname + here.search,
    kind: `${form.method.toLowerCase()} ${form.path} ${form.names}`,
  }));
}
