use super::*;
use crate::renditions::sample::{amendment, outside, signed, squash};

/// The fonts that the pages bring; without them there is nothing to print with.
fn fonts() -> Option<ReportFonts> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../ui/node_modules/@expo-google-fonts/noto-sans-sc");
    let root = std::env::var_os("GONGYING_TEST_FONTS").map_or(root, Into::into);
    let read = |name: &str| std::fs::read(root.join(name)).ok();
    let both = read("400Regular/NotoSansSC_400Regular.ttf").zip(read("700Bold/NotoSansSC_700Bold.ttf"));
    if both.is_none() {
        println!("skipped: fonts of the pages not installed (npm ci in viewer-web/ui)");
    }
    both.map(|(regular, bold)| ReportFonts::new(&regular, &bold).unwrap())
}

const URL: &str = "https://county.example/verify/23456789ABCDEFGH";

#[test]
fn the_text_comes_back_and_every_font_is_embedded() {
    let Some(fonts) = fonts() else { return };
    let version = signed(|d| d.technique = Some("层厚1.0mm".into()));
    let made = pdf(&version, &fonts, URL).unwrap();
    assert!(made.starts_with(b"%PDF-"));
    assert_eq!(
        made,
        pdf(&version, &fonts, URL).unwrap(),
        "the same version, the same page"
    );
    let Some(text) = outside("pdftotext", &["-raw"], &made, &["-"]) else {
        return;
    };
    let text = squash(&text);
    let d = &version.document;
    for part in [
        d.findings.as_str(),
        &d.impression,
        &d.patient.name,
        "GY261121000001",
        "河西镇卫生院",
        "青禾县人民医院",
        "王写作",
        "李审核",
        "2026-11-21 09:02",
        "县域HR",
        "2345-6789-ABCD-EFGH",
        "第1页共1页",
        "层厚1.0mm",
    ] {
        assert!(text.contains(&squash(part)), "{part} not in {text}");
    }
    assert!(
        !text.contains("11010519491231002X"),
        "the identity number is masked on paper"
    );
    let Some(list) = outside("pdffonts", &[], &made, &[]) else {
        return;
    };
    let rows: Vec<&str> = list.lines().skip(2).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let flags: Vec<&str> = words.iter().rev().skip(2).take(3).copied().collect();
        assert_eq!(flags, ["yes", "yes", "yes"], "{row}");
    }
}

#[test]
fn a_long_report_goes_on_to_further_pages_and_loses_nothing() {
    let Some(fonts) = fonts() else { return };
    let long: String = (0..400)
        .map(|n| format!("第{n}处见结节影，直径约{}mm。", n % 30))
        .collect();
    let version = signed(|d| {
        d.findings.clone_from(&long);
        d.kind = VersionKind::Correction;
        d.amendments
            .push(amendment(VersionKind::Correction, "更正：结节位于左侧。"));
    });
    let made = pdf(&version, &fonts, URL).unwrap();
    let Some(text) = outside("pdftotext", &["-raw"], &made, &["-"]) else {
        return;
    };
    let text = squash(&text);
    for n in 0..400 {
        assert!(text.contains(&format!("第{n}处")), "{n}");
    }
    assert!(text.contains("更正：结节位于左侧。") && text.contains("原因：复核"));
    assert!(text.contains("第2页共"));
}

#[test]
fn characters_that_no_font_has_and_control_characters_do_no_harm() {
    let Some(fonts) = fonts() else { return };
    let version = signed(|d| {
        d.findings = "\u{1}\u{202e}𠀀😀\t尾".into();
        d.impression = "长".repeat(3000) + &"x".repeat(3000);
    });
    assert!(pdf(&version, &fonts, URL).unwrap().starts_with(b"%PDF-"));
    assert!(ReportFonts::new(b"not a font", b"").is_err());
}
