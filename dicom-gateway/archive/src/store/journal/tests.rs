use super::super::medium::Blob;
use super::*;
use crate::testing::TemporaryFolder;
use std::time::Duration;

struct Memory(Vec<u8>);

impl Blob for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

fn content(n: usize) -> Vec<u8> {
    (0..n * 1000).map(|at| (at * n) as u8).collect()
}

fn all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let take = |name: &str, bytes: &[u8]| {
        found.push((name.to_owned(), bytes.to_vec()));
        Ok(())
    };
    replay(folder, take).unwrap();
    found.sort();
    found
}

#[test]
fn what_was_flushed_is_replayed_until_it_is_freed() {
    let folder = TemporaryFolder::new().unwrap();
    let journal = Journal::create(folder.path(), 1 << 20, &Health::default(), None).unwrap();
    let mut expected = Vec::new();
    for n in 1..20 {
        let name = format!("20250101/143/{n:02}.hexi.dcm");
        let ticket = journal
            .append(&name, &mut Memory(content(n)))
            .unwrap()
            .expect("room");
        ticket.file().flush().unwrap();
        if n == 7 {
            ticket.cancel();
        } else {
            expected.push((name, content(n)));
        }
    }
    assert_eq!(all(folder.path()), expected);
    journal.close();
    while let Some(full) = journal.next_full() {
        assert!(!full.names.is_empty());
        journal.free(&full).unwrap();
    }
    assert!(journal.wait_empty(Duration::ZERO));
    assert_eq!(all(folder.path()), []);
}

#[test]
fn a_full_journal_sends_objects_the_direct_way_and_waits_for_open_records() {
    let folder = TemporaryFolder::new().unwrap();
    let journal = Journal::create(folder.path(), 1 << 20, &Health::default(), None).unwrap();
    let mut tickets = Vec::new();
    while let Some(ticket) = journal
        .append("20250101/143/a.hexi.dcm", &mut Memory(content(60)))
        .unwrap()
    {
        tickets.push(ticket);
        assert!(tickets.len() < 100);
    }
    assert_eq!(tickets.len(), 4 * 4);
    let too_large = Memory(vec![0; OBJECT_BYTES_MAX as usize + 1]);
    assert!(journal.append("b", &mut { too_large }).unwrap().is_none());
    let settler = std::thread::spawn({
        let journal = journal.clone();
        move || {
            while let Some(full) = journal.next_full() {
                journal.free(&full).unwrap();
            }
        }
    });
    assert!(!journal.wait_empty(Duration::from_millis(20)));
    drop(tickets);
    let again = journal.append("20250101/143/c.hexi.dcm", &mut Memory(content(3)));
    journal.close();
    assert!(journal.append("d", &mut Memory(content(1))).unwrap().is_none());
    drop(again);
    assert!(journal.wait_empty(Duration::from_secs(10)));
    settler.join().unwrap();
}

#[test]
fn full_segments_wait_for_quiet_only_while_there_is_room() {
    let folder = TemporaryFolder::new().unwrap();
    let journal = Journal::create(folder.path(), 1 << 20, &Health::default(), None).unwrap();
    let fill = || {
        let record = journal.append("20250101/143/a.hexi.dcm", &mut Memory(content(60)));
        drop(record.unwrap().expect("room"));
    };
    let full = || {
        journal
            .shared
            .lock()
            .segments
            .iter()
            .filter(|s| s.phase == Phase::Full)
            .count()
    };
    let may_wait = || journal.shared.lock().may_wait().is_some();
    assert!(!may_wait(), "nothing is full");
    while full() < 1 {
        fill();
    }
    assert!(may_wait());
    while full() < SEGMENTS - FREE_MIN - 1 {
        fill();
    }
    assert!(!may_wait(), "too few are free");
    let first = journal.next_full().unwrap();
    journal.free(&first).unwrap();
    assert!(may_wait());
    journal.close();
    assert!(!may_wait(), "the end is no time to wait");
}

#[test]
fn what_is_cut_off_or_of_an_earlier_use_is_not_replayed() {
    let folder = TemporaryFolder::new().unwrap();
    let journal = Journal::create(folder.path(), 1 << 20, &Health::default(), None).unwrap();
    for n in [40, 50] {
        let name = format!("20250101/143/{n}.hexi.dcm");
        drop(journal.append(&name, &mut Memory(content(n))).unwrap());
    }
    let path = path_of(folder.path(), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(BLOCK_BYTES + 60_000);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        all(folder.path()),
        [("20250101/143/40.hexi.dcm".to_owned(), content(40))]
    );
    drop(journal);
    // made again: the blocks are still there, under another number of use
    Journal::create(folder.path(), 1 << 20, &Health::default(), None).unwrap();
    assert_eq!(all(folder.path()), []);
}
