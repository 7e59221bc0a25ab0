//! How much of the processors the parts of a lab have had.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::sweep::Processes;

/// The unit in `/proc`: `USER_HZ`, which Linux has kept at 100 on every machine that the lab runs on.
const TICK: Duration = Duration::from_millis(10);

/// The time that these processes and all that descend from them have had on processors, those included that have
/// ended and were waited for.
pub fn processor_time(process_ids: impl IntoIterator<Item = u32>) -> Duration {
    let found: BTreeSet<u32> = process_ids.into_iter().collect();
    let all = Processes::read().with_descendants(found);
    all.into_iter().filter_map(ticks).sum::<u32>() * TICK
}

/// Of the process itself and of its children that are gone.
fn ticks(process_id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
    // The second field is the program's name in parentheses; utime, stime, cutime and cstime are the 14th to 17th.
    let fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(4);
    fields.map(|field| field.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread::sleep;

    use super::*;

    #[test]
    fn the_time_of_a_child_that_was_waited_for_counts() {
        let script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read line";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut out = shell.stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut [0; 4]).unwrap();
        sleep(TICK);
        assert!(processor_time([shell.id()]) >= TICK);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(processor_time([shell.id()]), Duration::ZERO);
    }
}
