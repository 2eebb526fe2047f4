//! Directories made byte by byte: whole ones, wrong offsets, loops, names that lead away.

use super::*;
use crate::testing::TemporaryFolder;
use proptest::prelude::*;

fn element(group: u16, number: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(b' ');
    }
    let mut out = [group.to_le_bytes(), number.to_le_bytes()].concat();
    out.extend(vr.as_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    out
}

/// A record of the test: next and lower are indices from 1 (0 = none).
#[derive(Clone, Debug)]
struct Node {
    next: usize,
    lower: usize,
    file: &'static str,
    active: bool,
}

fn node(next: usize, lower: usize, file: &'static str) -> Node {
    Node {
        next,
        lower,
        file,
        active: true,
    }
}

fn item(node: &Node, offset: impl Fn(usize) -> u32, undefined: bool) -> Vec<u8> {
    let mut body = element(4, 0x1400, "UL", &offset(node.next).to_le_bytes());
    let flag: u16 = if node.active { 0xFFFF } else { 0 };
    body.extend(element(4, 0x1410, "US", &flag.to_le_bytes()));
    body.extend(element(4, 0x1420, "UL", &offset(node.lower).to_le_bytes()));
    body.extend(element(4, 0x1430, "CS", b"IMAGE"));
    if !node.file.is_empty() {
        body.extend(element(4, 0x1500, "CS", node.file.as_bytes()));
    }
    let mut out = vec![0xFE, 0xFF, 0x00, 0xE0];
    out.extend((if undefined { u32::MAX } else { body.len() as u32 }).to_le_bytes());
    out.extend(body);
    if undefined {
        out.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
    }
    out
}

fn directory(nodes: &[Node], root: usize, undefined: bool) -> Vec<u8> {
    let meta = [
        element(2, 2, "UI", b"1.2.840.10008.1.3.10\0\0"),
        element(2, 3, "UI", b"1.2.3\0"),
        element(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0"),
    ]
    .concat();
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    out.extend(meta);
    let root_at = out.len();
    let sequence_at = root_at + 12 + 12;
    let mut offsets = vec![0_u32];
    let mut at = sequence_at;
    for node in nodes {
        offsets.push(at as u32);
        at += item(node, |_| 0, undefined).len();
    }
    let offset = |index: usize| offsets.get(index).copied().unwrap_or(7);
    out.extend(element(4, 0x1200, "UL", &offset(root).to_le_bytes()));
    out.extend([4, 0, 0x20, 0x12, b'S', b'Q', 0, 0]);
    let items: Vec<u8> = nodes.iter().flat_map(|n| item(n, offset, undefined)).collect();
    out.extend((if undefined { u32::MAX } else { items.len() as u32 }).to_le_bytes());
    out.extend(items);
    if undefined {
        out.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    }
    out
}

fn names(directory: &Directory) -> String {
    let all: Vec<String> = directory.files.iter().map(|parts| parts.join("/")).collect();
    all.join(" ")
}

#[test]
fn the_tree_is_walked_in_its_order() {
    // patient 1 -> study 2 -> series 3 -> images 4, 5; patient 6 -> image 7 (not in use)
    let mut nodes = vec![
        node(6, 2, ""),
        node(0, 3, ""),
        node(0, 4, ""),
        node(5, 0, "A\\ONE"),
        node(0, 0, "A\\TWO"),
        node(0, 7, ""),
        node(0, 0, "B\\OLD"),
    ];
    for undefined in [false, true] {
        let found = read(&directory(&nodes, 1, undefined)).unwrap();
        assert_eq!(names(&found), "A/ONE A/TWO B/OLD");
        assert_eq!((found.unreachable, found.unusable), (0, 0));
    }
    nodes[6].active = false;
    assert_eq!(names(&read(&directory(&nodes, 1, false)).unwrap()), "A/ONE A/TWO");
}

#[test]
fn wrong_offsets_and_loops_lose_no_file() {
    // 1 points to itself and to a place that does not exist.
    let nodes = [node(1, 99, "A"), node(1, 2, "B"), node(0, 0, "C")];
    let found = read(&directory(&nodes, 1, false)).unwrap();
    assert_eq!(names(&found), "A B C");
    assert_eq!(found.unreachable, 2);
    let found = read(&directory(&nodes, 0, true)).unwrap();
    assert_eq!((names(&found).as_str(), found.unreachable), ("A B C", 3));
    // A chain deeper than any medium has.
    let chain: Vec<Node> = (0..200).map(|n| node(0, n + 2, "F")).collect();
    assert_eq!(read(&directory(&chain, 1, false)).unwrap().files.len(), 200);
}

#[test]
fn names_that_lead_away_are_left_out() {
    for name in ["..\\X", "A\\..\\..\\X", "/ETC/PASSWD", "C:X", "A/B"] {
        let found = read(&directory(&[node(0, 0, name)], 1, false)).unwrap();
        assert_eq!((found.files.len(), found.unusable), (0, 1), "{name}");
    }
}

#[test]
fn what_is_no_directory_says_so() {
    assert!(read(b"").is_err());
    let object = crate::testing::ObjectSpec::new("1.2", 1, 1).file_bytes();
    let error = read(&object).unwrap_err().to_string();
    assert!(error.contains("no DICOMDIR"), "{error}");
    let mut cut = directory(&[node(0, 0, "A")], 1, false);
    cut.truncate(cut.len() - 3);
    assert!(read(&cut).is_err());
}

#[test]
fn files_are_found_by_any_case_and_never_outside() {
    let folder = TemporaryFolder::new().unwrap();
    let root = folder.path().join("medium");
    std::fs::create_dir_all(root.join("dicom")).unwrap();
    std::fs::write(root.join("dicom/im001;1"), b"x").unwrap();
    std::fs::write(root.join("dicom/IM002"), b"x").unwrap();
    std::fs::write(folder.path().join("secret"), b"x").unwrap();
    let find = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(|p| (*p).to_owned()).collect();
        resolve(&root, &parts)
    };
    assert!(find(&["DICOM", "IM001"]).is_some());
    assert!(find(&["DICOM", "IM002"]).is_some());
    assert!(find(&["DICOM", "IM003"]).is_none());
    assert!(find(&["DICOM"]).is_none(), "a folder is no file");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path(), root.join("OUT")).unwrap();
        assert!(find(&["OUT", "secret"]).is_none(), "a link leads out");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_offsets_end_and_name_every_file_once(
        links in proptest::collection::vec((0_usize..14, 0_usize..14), 1..12),
        root in 0_usize..14,
        undefined in any::<bool>()
    ) {
        let nodes: Vec<Node> = links.iter().map(|(next, lower)| node(*next, *lower, "F")).collect();
        let found = read(&directory(&nodes, root, undefined)).unwrap();
        prop_assert_eq!(found.files.len(), nodes.len());
    }

    #[test]
    fn damage_never_hangs_nor_panics(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>()
    ) {
        let mut bytes = directory(&[node(2, 3, "A"), node(0, 0, "B"), node(0, 0, "C\\D")], 1, true);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }
}
