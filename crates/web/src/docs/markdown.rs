//! Guides as HTML. Only what is built in comes here, never what anybody else wrote.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

use super::guides;

/// HTML that is ours, and so is printed on a page as it is.
pub(super) struct Html(String);

impl std::fmt::Display for Html {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// The HTML of `text`. Headings can be linked to; links to other guides lead to their pages, and those to files that are
/// not served here are plain words.
pub(super) fn render(text: &'static str) -> Html {
    let mut events: Vec<_> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    name_headings(&mut events);
    let mut is_dropped = Vec::new();
    let kept = events.into_iter().filter_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let target = target(&dest_url);
            is_dropped.push(target.is_none());
            Some(Event::Start(link(link_type, target?, title, id)))
        }
        Event::End(TagEnd::Link) => (!is_dropped.pop().unwrap_or_default()).then_some(event),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        event => Some(event),
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, kept);
    Html(rendered)
}

fn link<'a>(link_type: LinkType, target: String, title: CowStr<'a>, id: CowStr<'a>) -> Tag<'a> {
    Tag::Link { link_type, dest_url: target.into(), title, id }
}

/// Where a link leads here; `None`: nowhere.
fn target(url: &str) -> Option<String> {
    if url.contains("://") || url.starts_with('#') {
        return Some(url.to_owned());
    }
    let (file, fragment) =
        url.split_once('#').map_or((url, String::new()), |(file, at)| (file, format!("#{at}")));
    let guide = guides::find(file.strip_suffix(".md")?)?;
    Some(format!("/docs/{}{fragment}", guide.name))
}

/// Gives each heading the id that a link in a repository leads to.
fn name_headings(events: &mut [Event<'_>]) {
    let mut heading = None;
    let mut words = String::new();
    for at in 0..events.len() {
        match &events[at] {
            Event::Start(Tag::Heading { .. }) => (heading, words) = (Some(at), String::new()),
            Event::Text(text) | Event::Code(text) if heading.is_some() => words.push_str(text),
            Event::End(TagEnd::Heading(_)) => {
                let begin = heading.take().unwrap_or(at);
                if let Event::Start(Tag::Heading { id, .. }) = &mut events[begin] {
                    *id = Some(slug(&words).into());
                }
            }
            _ => {}
        }
    }
}

fn slug(words: &str) -> String {
    let kept = words.to_lowercase().chars().map(|c| if c == ' ' { '-' } else { c }).collect::<String>();
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_what_is_served_and_other_files_are_words() {
        let Html(html) = render(
            "## Look `now`, please\n\n[a](dns.md#what-to-type) [b](install.md) [c](https://x.example)\n",
        );
        assert!(html.contains("<h2 id=\"look-now-please\">"), "{html}");
        assert!(
            html.contains("<a href=\"/docs/dns#what-to-type\">a</a> b <a href=\"https://x.example\">"),
            "{html}"
        );
    }

    #[test]
    fn guides_have_neither_pictures_nor_styles_of_their_own() {
        for guide in guides::ALL {
            let Html(html) = render(guide.text);
            assert!(!html.contains("<img") && !html.contains("style="), "{}", guide.name);
        }
    }
}
