//! Whether a file is about the person of a request. A recording under the wrong name is worse than one that waits.

use super::refusal::{Reason, Refusal};
use archive::name::{pinyin_key, search_key};
use archive::patient::Patient as Row;
use engine::ecg::record::Patient;

/// Refuses a file whose name, number, sex or date of birth contradicts the request. What a cart does not say cannot
/// contradict; a number of the cart's own is no contradiction where the name agrees.
pub(super) fn check(file: &Patient, row: &Row) -> Result<(), Refusal> {
    let told = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let (name, number) = (told(&file.name), told(&file.identifier));
    let known_number = number
        .as_deref()
        .is_some_and(|said| said == row.identifier || row.national_id.as_deref() == Some(said));
    let wrong_name = name.as_deref().is_some_and(|said| !same_name(said, row));
    let nothing_agrees = name.is_none() && number.is_some() && !known_number;
    let differs = |said: &Option<String>, known: &Option<String>| match (told(said), told(known)) {
        (Some(said), Some(known)) => said != known,
        _ => false,
    };
    let sex = differs(&file.sex.clone().filter(|sex| sex != "O"), &row.sex);
    let birth_date = differs(&file.birth_date, &row.birth_date);
    if !(wrong_name || nothing_agrees || sex || birth_date) {
        return Ok(());
    }
    let file_says = shown([name, number, told(&file.sex), told(&file.birth_date)]);
    let row_says = shown([
        told(&Some(row.name.clone())),
        told(&Some(row.identifier.clone())),
        told(&row.sex),
        told(&row.birth_date),
    ]);
    Err(Refusal::from(Reason::OtherPerson).comparing(
        &format!("文件：{file_says}；申请：{row_says}。"),
        &format!("File: {file_says}; request: {row_says}."),
    ))
}

/// Name, number, sex and date of birth in one line.
fn shown([name, number, sex, birth_date]: [Option<String>; 4]) -> String {
    let sex = sex.map(|sex| match sex.as_str() {
        "M" => "男".to_owned(),
        "F" => "女".to_owned(),
        _ => sex,
    });
    let birth_date = birth_date.map(|day| match (day.get(..4), day.get(4..6), day.get(6..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => day,
    });
    let said: Vec<String> = [name, number, sex, birth_date].into_iter().flatten().collect();
    said.join(" ").replace('^', "")
}

/// Equal characters, or a pinyin of them with the parts in either order, as carts without Chinese write names.
fn same_name(said: &str, row: &Row) -> bool {
    let known = pinyin_key(&row.pinyin);
    said.split('=')
        .filter(|group| !group.trim().is_empty())
        .any(|group| {
            let plain = group.replace('^', " ");
            if search_key(&plain) == search_key(&row.name) {
                return true;
            }
            let parts: Vec<&str> = plain.split_whitespace().collect();
            let turned = (0..parts.len()).map(|at| {
                let (tail, head) = parts.split_at(at);
                pinyin_key(&[head, tail].concat().concat())
            });
            !known.is_empty() && turned.into_iter().any(|form| form == known)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::{InstitutionId, PatientId, PersonId};

    fn row() -> Row {
        Row {
            id: PatientId(1),
            institution_id: InstitutionId(1),
            issuer: String::new(),
            identifier: "JH1".into(),
            person_id: PersonId(1),
            name: "王秀英".into(),
            name_alphabetic: String::new(),
            name_ideographic: "王秀英".into(),
            name_phonetic: String::new(),
            pinyin: "WANG XIU YING".into(),
            sex: Some("F".into()),
            birth_date: Some("19491231".into()),
            national_id: Some("11010519491231002X".into()),
        }
    }

    #[test]
    fn both_sides_are_shown_as_people_write_them() {
        let said = |texts: [&str; 4]| shown(texts.map(|t| Some(t.to_owned())));
        assert_eq!(
            said(["王^秀英", "JH1", "F", "19491231"]),
            "王秀英 JH1 女 1949-12-31"
        );
        assert_eq!(said(["A", "1", "O", "1949"]), "A 1 O 1949");
    }

    #[test]
    fn only_contradictions_are_refused() {
        let check = |name: &str, number: &str, sex: &str, born: &str, expect: bool| {
            let said = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
            let file = Patient {
                name: said(name),
                identifier: said(number),
                sex: said(sex),
                age_years: None,
                birth_date: said(born),
            };
            let got = check(&file, &row());
            assert_eq!(got.is_ok(), expect, "{name} {number} {sex} {born}: {got:?}");
        };
        check("", "", "", "", true);
        check("王秀英", "", "", "", true);
        check("王^秀英", "CART7", "F", "19491231", true);
        check("WANG^XIUYING=王^秀英", "", "", "", true);
        check("Wang Xiuying", "7", "", "", true);
        check("xiuying wang", "", "O", "", true);
        check("王秀荣", "JH1", "", "", false);
        check("", "11010519491231002X", "", "", true);
        check("李建国", "", "", "", false);
        check("李建国", "CART7", "", "", false);
        check("Wang Xiurong", "", "", "", false);
        check("", "CART7", "", "", false);
        check("王秀英", "", "M", "", false);
        check("王秀英", "", "", "19500101", false);
    }
}
