use super::*;
use proptest::prelude::*;

#[test]
fn names_get_keys() {
    let check = |parts: NameParts, display: &str, key: &str, pinyin: &str, initials: &str| {
        let keys = parts.keys();
        assert_eq!(
            (
                keys.display.as_str(),
                keys.name_key.as_str(),
                keys.pinyin.as_str(),
                keys.initials.as_str()
            ),
            (display, key, pinyin, initials),
            "{parts:?}"
        );
    };
    let full = NameParts {
        alphabetic: "Wang^XiaoDong".into(),
        ideographic: "王^小东".into(),
        phonetic: String::new(),
    };
    check(full.clone(), "王小东", "王小东", "WANG XIAO DONG", "WXD");
    assert_eq!(full.keys().alphabetic_key, "WANG XIAODONG");
    check(NameParts::from_text(" 李 明 "), "李 明", "李明", "LI MING", "LM");
    check(
        NameParts::from_text("ｌｉ^ming^^"),
        "ｌｉ ming",
        "LI MING",
        "",
        "",
    );
    check(NameParts::from_text("𠮷野"), "𠮷野", "𠮷野", "YE", "Y");
    check(NameParts::default(), "", "", "", "");
}

#[test]
fn surnames_are_read_as_surnames() {
    for (name, pinyin) in [
        ("单田芳", "SHAN TIAN FANG"),
        ("解晓东", "XIE XIAO DONG"),
        ("仇英", "QIU YING"),
        ("曾志伟", "ZENG ZHI WEI"),
        ("查良镛", "ZHA LIANG YONG"),
        ("区桂芝", "OU GUI ZHI"),
        ("尉迟恭", "YU CHI GONG"),
        ("万俟卨", "MO QI XIE"),
        ("欧阳修", "OU YANG XIU"),
        ("任静", "REN JING"),
        ("盖叫天", "GE JIAO TIAN"),
        ("吕布", "LV BU"),
        ("覃雪梅", "QIN XUE MEI"),
        // The same characters in a given name.
        ("李单", "LI DAN"),
        ("王长乐", "WANG CHANG LE"),
        // A surname of two characters stands at the beginning only.
        ("李欧阳", "LI OU YANG"),
        // Traditional forms read alike.
        ("單田芳", "SHAN TIAN FANG"),
        ("歐陽鋒", "OU YANG FENG"),
    ] {
        assert_eq!(NameParts::from_text(name).keys().pinyin, pinyin, "{name}");
    }
}

/// Whether a typed text finds a name, as the index compares: a prefix of any key or term.
fn finds(typed: &str, name: &NameParts) -> bool {
    let keys = name.keys();
    let (text, joined) = (search_key(typed), pinyin_key(typed));
    let by_text = [&keys.name_key, &keys.alphabetic_key]
        .iter()
        .any(|k| k.starts_with(&text));
    let by_pinyin = [&keys.pinyin_key, &keys.initials]
        .iter()
        .any(|k| k.starts_with(&joined));
    let by_term = keys
        .terms
        .iter()
        .any(|(_, t)| t.starts_with(&text) || t.starts_with(&joined));
    by_text || by_pinyin || by_term
}

#[test]
fn a_name_is_found_in_every_way_people_type_it() {
    let check = |name: &str, typed: &[&str], not: &[&str]| {
        let name = NameParts::from_text(name);
        typed
            .iter()
            .for_each(|t| assert!(finds(t, &name), "{t} finds {name:?}: {:?}", name.keys()));
        not.iter()
            .for_each(|t| assert!(!finds(t, &name), "{t} must not find {name:?}"));
    };
    check(
        "王小明",
        &[
            "王",
            "王小",
            "王小明",
            "王 小 明",
            "王^小明",
            "小明",
            "明",
            "wang",
            "WangXiaoMing",
            "wang xiao ming",
            "wáng xiǎo míng",
            "wang2 xiao3 ming2",
            "wxm",
            "xiaoming",
            "wangxm",
            "ｗａｎｇ",
        ],
        &["李", "xm1", "mingxiao", "王明"],
    );
    check(
        "单国强",
        &[
            "shan",
            "shanguoqiang",
            "sgq",
            "dan guoqiang",
            "dgq",
            "單國強",
            "国强",
        ],
        &["chan"],
    );
    check("曾乐", &["zengle", "zengyue", "cengle", "zl", "zy"], &[]);
    check(
        "尉迟敬德",
        &["yuchi", "weichi jingde", "ycjd", "尉遲", "敬德"],
        &[],
    );
    check("吕秀莲", &["lv", "lü", "lu", "lyu", "lǚ xiù lián", "呂"], &[]);
    check("陳曉東", &["陈晓东", "陳", "chen", "cxd", "晓东"], &[]);
    check(
        "阿卜杜拉·买买提",
        &["阿卜杜拉买买提", "阿卜杜拉·买买提", "abudula"],
        &[],
    );
    check("𠮷田明", &["𠮷田", "𠮷", "田明", "tian"], &[]);
    let latin = NameParts {
        alphabetic: "Müller^Jörg".into(),
        ..NameParts::default()
    };
    assert!(finds("jorg", &latin) && finds("mvller", &latin) && finds("Müller", &latin));
}

#[test]
fn the_table_of_traditional_forms_is_even_and_ends_in_simplified_ones() {
    let all: Vec<char> = tables::SIMPLIFIED.chars().collect();
    assert_eq!(all.len() % 2, 0);
    assert!(all.iter().all(|c| is_han(*c)), "only characters");
    // A simplified form is never turned into something else: keys are the same when made twice.
    for pair in all.chunks(2) {
        let again = SIMPLIFIED.get(&pair[1]).copied().unwrap_or(pair[1]);
        assert_eq!(again, pair[1], "{} -> {} -> {again}", pair[0], pair[1]);
    }
}

#[test]
fn long_names_are_cut_and_terms_are_few() {
    assert_eq!(
        NameParts::from_text(&"王".repeat(5000))
            .ideographic
            .chars()
            .count(),
        NAME_CHARACTERS_MAX
    );
    assert!(search_key(&"x".repeat(5000)).len() <= NAME_CHARACTERS_MAX);
    let many = NameParts::from_text(&"乐".repeat(200)).keys();
    assert!(many.terms.len() <= TERMS_MAX);
}

proptest! {
    #[test]
    fn keys_of_any_text_are_stable_and_bounded(text in "\\PC{0,80}") {
        let once = search_key(&text);
        prop_assert_eq!(&search_key(&once), &once);
        let keys = NameParts::from_text(&text).keys();
        prop_assert!(keys.terms.len() <= TERMS_MAX);
        prop_assert!(keys.terms.iter().all(|(_, t)| !t.is_empty()));
        prop_assert!(!keys.name_key.contains("  ") && !keys.name_key.starts_with(' '));
    }

    #[test]
    fn a_chinese_name_is_found_by_itself_its_pinyin_and_its_initials(text in "[\u{4E00}-\u{9FA5}]{2,4}") {
        let name = NameParts::from_text(&text);
        let keys = name.keys();
        prop_assert!(finds(&text, &name));
        prop_assert!(keys.pinyin.is_empty() || finds(&keys.pinyin, &name));
        prop_assert!(keys.initials.is_empty() || finds(&keys.initials.to_lowercase(), &name));
    }
}
