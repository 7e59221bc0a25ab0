//! Letters to shops' owners, in the name of the tenant and without a word of us.

use certmill_model::{Brand, Record};

use super::button;
use crate::document::{Cells, Document, Table, Written, clean};

/// Who is written to, and in whose name.
pub(super) struct Owner<'a> {
    pub(super) brand: &'a Brand,
    pub(super) name: &'a str,
    pub(super) language: &'a str,
}

impl Owner<'_> {
    /// The words in the owner's language.
    fn say(&self, english: &str, german: &str) -> String {
        let words = if self.is_german() { german } else { english };
        let (name, product) = (clean(self.name), clean(&self.brand.product));
        words.replace("{name}", &name).replace("{product}", &product)
    }

    fn is_german(&self) -> bool {
        self.language == "de"
    }

    fn letter(&self, heading: String, paragraphs: Vec<String>) -> Document {
        Document {
            language: if self.is_german() { "de" } else { "en" },
            product: clean(&self.brand.product),
            heading,
            paragraphs,
            ..Document::default()
        }
    }

    fn records(&self, records: &[Record]) -> Table {
        let row = |record: &Record| Cells {
            cells: vec![clean(&record.name), clean(&record.kind), clean(&record.value)],
            bar: None,
        };
        let head = if self.is_german() { ["Name", "Typ", "Wert"] } else { ["Name", "Type", "Value"] };
        Table {
            mark: "",
            label: self.say("Set these DNS records", "Diese DNS-Einträge setzen"),
            head: head.map(str::to_owned).into(),
            rows: records.iter().map(row).collect(),
        }
    }

    fn finish(&self, mut letter: Document, subject: &str) -> Written {
        let help = self.say("Get help", "Hilfe bekommen");
        letter.buttons.extend(self.brand.support_link.as_deref().and_then(|link| button(&help, link)));
        letter.footer = vec![self.say(
            "You get this because {name} is set up with {product}.",
            "Sie erhalten diese Nachricht, weil {name} bei {product} eingerichtet ist.",
        )];
        letter.written(subject)
    }
}

pub(super) fn set_up(owner: &Owner<'_>, records: &[Record], link: &str) -> Written {
    let heading = owner.say("Connect {name}", "{name} verbinden");
    let paragraphs = vec![
        owner.say(
            "Three steps connect {name} with {product}: you set the records below where the domain is registered, we \
             check them, and a certificate makes the shop secure. The last two happen by themselves.",
            "Drei Schritte verbinden {name} mit {product}: Sie setzen die Einträge unten dort, wo die Domain \
             registriert ist, wir prüfen sie, und ein Zertifikat macht den Shop sicher. Die letzten zwei geschehen von \
             selbst.",
        ),
        owner.say(
            "The page shows live what we see, and it can take up to an hour until records are seen everywhere.",
            "Die Seite zeigt laufend, was wir sehen. Bis Einträge überall zu sehen sind, kann es bis zu einer Stunde \
             dauern.",
        ),
    ];
    let mut letter = owner.letter(heading.clone(), paragraphs);
    letter.tables.push(owner.records(records));
    letter.buttons.extend(button(&owner.say("See what is still missing", "Ansehen, was noch fehlt"), link));
    owner.finish(letter, &heading)
}

pub(super) fn works(owner: &Owner<'_>) -> Written {
    let heading = owner.say("{name} works", "{name} funktioniert");
    let paragraphs = vec![owner.say(
        "{name} is connected with {product} and is served securely over HTTPS. Certificates are renewed by themselves; \
         leave the DNS records as they are.",
        "{name} ist mit {product} verbunden und wird sicher über HTTPS ausgeliefert. Zertifikate werden von selbst \
         erneuert; lassen Sie die DNS-Einträge, wie sie sind.",
    )];
    owner.finish(owner.letter(heading.clone(), paragraphs), &heading)
}
