//! What was proved, at a glance.

use certmill_lab::Lab;

use super::proof::Proof;
use crate::screen::Screen;

/// Prints a row for each shop.
pub(super) fn print(lab: &Lab, proofs: &[Proof], screen: &Screen) {
    let names: Vec<&str> = lab.description().load_balancers.iter().map(|one| one.name.as_str()).collect();
    let served = format!("served by {}", names.join(" and "));
    screen.say("");
    screen.say(screen.strong(&row(&["shop", "tenant", "template", "certificate", "valid until", &served])));
    for proof in proofs {
        let page = format!("yes, {}", proof.page);
        let cells =
            [&proof.name, proof.tenant, proof.template, &proof.serial_number, &proof.valid_until, &page];
        screen.say(row(&cells));
    }
    screen.say("");
}

/// `text` with blanks behind it up to `width` characters.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn row(cells: &[&str; 6]) -> String {
    let widths = [27, 11, 21, 17, 12, 0];
    let padded = cells.iter().zip(widths).map(|(cell, width)| pad(cell, width));
    padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}
