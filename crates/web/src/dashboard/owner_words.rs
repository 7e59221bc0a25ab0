//! The words for owners of shops, in each language: without a word of ours, and without jargon.

use certmill_model::{DomainStatus, ProblemCode};
use time::{OffsetDateTime, macros::format_description};

use super::moment::Moment;
use crate::setup::Purpose;

/// A language of the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    English,
    German,
}

/// What is wrong, and what the owner does about it.
pub(super) struct Advice {
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

/// The words of the page.
pub(super) struct OwnerWords {
    pub(super) title: &'static str,
    pub(super) skip: &'static str,
    pub(super) steps: &'static str,
    pub(super) step_records: &'static str,
    pub(super) step_check: &'static str,
    pub(super) step_secure: &'static str,
    pub(super) step_done: &'static str,
    pub(super) step_now: &'static str,
    pub(super) step_later: &'static str,
    pub(super) records: &'static str,
    pub(super) where_to: &'static str,
    pub(super) one_is_enough: &'static str,
    pub(super) group_traffic: &'static str,
    pub(super) group_certificate: &'static str,
    pub(super) group_ownership: &'static str,
    pub(super) kind: &'static str,
    pub(super) host: &'static str,
    pub(super) full_name: &'static str,
    pub(super) value: &'static str,
    pub(super) seen: &'static str,
    pub(super) seen_nothing: &'static str,
    pub(super) host_note: (&'static str, &'static str),
    pub(super) record_right: &'static str,
    pub(super) record_missing: &'static str,
    pub(super) record_wrong: &'static str,
    pub(super) record_either: &'static str,
    pub(super) record_unseen: &'static str,
    pub(super) what_to_do: &'static str,
    pub(super) check_now: &'static str,
    pub(super) looked: &'static str,
    pub(super) not_looked: &'static str,
    pub(super) patience: &'static str,
    pub(super) updates: &'static str,
    pub(super) pause: &'static str,
    pub(super) resume: &'static str,
    pub(super) reload: &'static str,
    pub(super) open_shop: &'static str,
    pub(super) support: &'static str,
    pub(super) expires: &'static str,
    pub(super) copy: &'static str,
    pub(super) copied: &'static str,
    pub(super) switch: &'static str,
    pub(super) gone_title: &'static str,
    pub(super) gone: &'static str,
}

static ENGLISH: OwnerWords = OwnerWords {
    title: "Connect your domain",
    skip: "Skip to content",
    steps: "How far it is",
    step_records: "You set the records",
    step_check: "We check them",
    step_secure: "Your shop is secure",
    step_done: "Done",
    step_now: "Now",
    step_later: "Then",
    records: "What to set",
    where_to: "Log in where you bought your domain, open its DNS settings, and add these records.",
    one_is_enough: "One of them is enough. Set both if your provider offers both kinds.",
    group_traffic: "This brings visitors to your shop. Remove other A and AAAA records of the same name.",
    group_certificate: "This lets us keep your shop secure. Set it once and leave it.",
    group_ownership: "This shows that the domain is yours.",
    kind: "Type",
    host: "Name or host",
    full_name: "If the form wants the full name",
    value: "Value or target",
    seen: "What is there now",
    seen_nothing: "nothing",
    host_note: ("Most forms add", "by themselves. @ stands for the domain itself."),
    record_right: "Right",
    record_missing: "Not there yet",
    record_wrong: "Something else is there",
    record_either: "Not needed beside the other",
    record_unseen: "Not checked yet",
    what_to_do: "What to do:",
    check_now: "Check now",
    looked: "Last checked",
    not_looked: "Not checked yet.",
    patience: "After a change it can take a few minutes, and in rare cases a day, until it can be seen everywhere. We go on checking by ourselves.",
    updates: "This page updates itself.",
    pause: "Pause",
    resume: "Go on",
    reload: "Reload",
    open_shop: "Open your shop",
    support: "Get help",
    expires: "This page can be opened until",
    copy: "Copy",
    copied: "Copied",
    switch: "Deutsch",
    gone_title: "This link has ended",
    gone: "It is too old, or was not copied whole. Ask whoever sent it to you for a new one.",
};

static GERMAN: OwnerWords = OwnerWords {
    title: "Ihre Domain verbinden",
    skip: "Zum Inhalt",
    steps: "So weit ist es",
    step_records: "Sie tragen die Einträge ein",
    step_check: "Wir prüfen sie",
    step_secure: "Ihr Shop ist sicher",
    step_done: "Erledigt",
    step_now: "Jetzt",
    step_later: "Danach",
    records: "Was einzutragen ist",
    where_to: "Melden Sie sich dort an, wo Sie Ihre Domain gekauft haben, öffnen Sie die DNS-Einstellungen und legen Sie diese Einträge an.",
    one_is_enough: "Einer davon genügt. Legen Sie beide an, wenn Ihr Anbieter beide Arten kennt.",
    group_traffic: "Damit kommen Besucher zu Ihrem Shop. Entfernen Sie andere A- und AAAA-Einträge desselben Namens.",
    group_certificate: "Damit halten wir Ihren Shop sicher. Einmal eintragen und stehen lassen.",
    group_ownership: "Damit zeigen Sie, dass die Domain Ihnen gehört.",
    kind: "Typ",
    host: "Name oder Host",
    full_name: "Falls der ganze Name verlangt wird",
    value: "Wert oder Ziel",
    seen: "Was jetzt dort steht",
    seen_nothing: "nichts",
    host_note: ("Die meisten Formulare ergänzen", "von selbst. @ steht für die Domain selbst."),
    record_right: "Richtig",
    record_missing: "Noch nicht da",
    record_wrong: "Dort steht etwas anderes",
    record_either: "Neben dem anderen nicht nötig",
    record_unseen: "Noch nicht geprüft",
    what_to_do: "Was zu tun ist:",
    check_now: "Jetzt prüfen",
    looked: "Zuletzt geprüft",
    not_looked: "Noch nicht geprüft.",
    patience: "Nach einer Änderung kann es einige Minuten, selten einen Tag dauern, bis sie überall zu sehen ist. Wir prüfen von selbst weiter.",
    updates: "Diese Seite aktualisiert sich selbst.",
    pause: "Anhalten",
    resume: "Fortsetzen",
    reload: "Neu laden",
    open_shop: "Ihren Shop öffnen",
    support: "Hilfe",
    expires: "Diese Seite lässt sich öffnen bis",
    copy: "Kopieren",
    copied: "Kopiert",
    switch: "English",
    gone_title: "Dieser Link gilt nicht mehr",
    gone: "Er ist zu alt oder wurde nicht ganz kopiert. Bitten Sie um einen neuen, wo Sie ihn bekommen haben.",
};

impl Language {
    /// The language with this code.
    pub(super) fn of(code: &str) -> Option<Self> {
        match code.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            _ => None,
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language to switch to.
    pub(super) fn other(self) -> &'static str {
        match self {
            Self::English => "de",
            Self::German => "en",
        }
    }

    pub(super) fn words(self) -> &'static OwnerWords {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// A date for people.
    pub(super) fn date(self, moment: &Moment, at: OffsetDateTime) -> (String, String) {
        let german =
            format_description!("[day padding:none].[month padding:none].[year], [hour]:[minute] UTC");
        let words = match self {
            Self::English => moment.full.clone(),
            Self::German => at.format(german).expect("instants of this era can be formatted"),
        };
        (moment.iso.clone(), words)
    }

    /// How the domain stands, in a sentence.
    pub(super) fn status(self, status: DomainStatus) -> &'static str {
        use DomainStatus::{
            Active, Blocked, Deleted, Expired, Failed, Moved, Paused, PendingDeletion, PendingDeployment,
            PendingDns, PendingIssuance,
        };
        match (self, status) {
            (Self::English, PendingDns | Failed) => "We are waiting for your DNS records.",
            (Self::German, PendingDns | Failed) => "Wir warten auf Ihre DNS-Einträge.",
            (Self::English, PendingIssuance | PendingDeployment) => {
                "Your records are right. We are making your shop secure; this takes a few minutes."
            }
            (Self::German, PendingIssuance | PendingDeployment) => {
                "Ihre Einträge stimmen. Wir machen Ihren Shop jetzt sicher; das dauert einige Minuten."
            }
            (Self::English, Active) => "All done. Your shop can be reached securely.",
            (Self::German, Active) => "Alles fertig. Ihr Shop ist sicher erreichbar.",
            (Self::English, Moved) => {
                "Your domain points somewhere else now. Set the records again to keep your shop."
            }
            (Self::German, Moved) => {
                "Ihre Domain zeigt jetzt woandershin. Tragen Sie die Einträge wieder ein, um Ihren Shop zu behalten."
            }
            (Self::English, Expired) => {
                "Visitors see a warning at the moment. Please check the records below."
            }
            (Self::German, Expired) => {
                "Besucher sehen gerade eine Warnung. Bitte prüfen Sie die Einträge unten."
            }
            (Self::English, Paused) => "This domain is paused. Nothing is to be done by you.",
            (Self::German, Paused) => "Diese Domain ist angehalten. Sie müssen nichts tun.",
            (Self::English, Blocked) => "This domain cannot be used here. Please ask for help.",
            (Self::German, Blocked) => {
                "Diese Domain kann hier nicht verwendet werden. Bitte fragen Sie nach Hilfe."
            }
            (Self::English, PendingDeletion | Deleted) => "This domain is being removed from the shop.",
            (Self::German, PendingDeletion | Deleted) => "Diese Domain wird vom Shop entfernt.",
        }
    }
}

impl OwnerWords {
    /// What a group of records is for.
    pub(super) fn group(&self, purpose: Purpose) -> &'static str {
        match purpose {
            Purpose::Traffic => self.group_traffic,
            Purpose::Certificate => self.group_certificate,
            Purpose::Ownership => self.group_ownership,
        }
    }
}

/// What the owner can do about a problem; `None`: nothing, others see to it.
pub(super) fn advice(language: Language, code: ProblemCode) -> Option<Advice> {
    let (english, german) = match code {
        ProblemCode::DnsNotFound => (
            ("Your domain has no record yet.", "Add the record that is shown below."),
            ("Ihre Domain hat noch keinen Eintrag.", "Legen Sie den Eintrag an, der unten steht."),
        ),
        ProblemCode::DnsWrongTarget => (
            ("Your domain points somewhere else.", "Change the record to the value that is shown below."),
            ("Ihre Domain zeigt woandershin.", "Ändern Sie den Eintrag auf den Wert, der unten steht."),
        ),
        ProblemCode::DnsExtraAddresses => (
            (
                "Your domain points here, and somewhere else as well.",
                "Remove the A and AAAA records that are not shown below. They are often left from a website before.",
            ),
            (
                "Ihre Domain zeigt hierher und zusätzlich woandershin.",
                "Entfernen Sie die A- und AAAA-Einträge, die unten nicht stehen. Oft sind sie von einer früheren Website übrig.",
            ),
        ),
        ProblemCode::DnsApexCname => (
            ("A CNAME record stands where none may be.", "Replace it by the A record that is shown below."),
            (
                "An dieser Stelle darf kein CNAME-Eintrag stehen.",
                "Ersetzen Sie ihn durch den A-Eintrag, der unten steht.",
            ),
        ),
        ProblemCode::DnsServfail => (
            (
                "The name servers of your domain do not answer properly.",
                "Ask the company where you bought the domain. Often a setting called DNSSEC is the cause.",
            ),
            (
                "Die Nameserver Ihrer Domain antworten nicht richtig.",
                "Fragen Sie den Anbieter Ihrer Domain. Oft liegt es an einer Einstellung namens DNSSEC.",
            ),
        ),
        ProblemCode::OwnershipMissing | ProblemCode::OwnershipConflict => (
            ("We do not know yet that this domain is yours.", "Add the TXT record that is shown below."),
            (
                "Wir wissen noch nicht, dass diese Domain Ihnen gehört.",
                "Legen Sie den TXT-Eintrag an, der unten steht.",
            ),
        ),
        ProblemCode::CaaForbids => (
            (
                "A CAA record of your domain keeps us from making your shop secure.",
                "Remove the CAA records in the DNS settings, or ask for help.",
            ),
            (
                "Ein CAA-Eintrag Ihrer Domain hindert uns daran, Ihren Shop sicher zu machen.",
                "Entfernen Sie die CAA-Einträge in den DNS-Einstellungen, oder fragen Sie nach Hilfe.",
            ),
        ),
        ProblemCode::HttpUnreachable | ProblemCode::HttpWrongResponse => (
            (
                "Another server answers for your domain.",
                "Remove old A and AAAA records, and switch off a proxy or CDN in front of the domain.",
            ),
            (
                "Ein anderer Server antwortet für Ihre Domain.",
                "Entfernen Sie alte A- und AAAA-Einträge, und schalten Sie einen Proxy oder ein CDN vor der Domain ab.",
            ),
        ),
        _ => return None,
    };
    let (what, fix) = if language == Language::German { german } else { english };
    Some(Advice { what, fix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_dns_has_its_advice_in_both_languages() {
        for code in ProblemCode::ALL.iter().filter(|code| code.as_str().starts_with("dns_")) {
            let (english, german) = (advice(Language::English, *code), advice(Language::German, *code));
            assert_eq!(english.is_some(), german.is_some());
            let Some((english, german)) = english.zip(german) else { continue };
            assert!(english.what != german.what && english.fix != german.fix, "{code:?}");
        }
        assert!(advice(Language::English, ProblemCode::Internal).is_none());
    }
}
