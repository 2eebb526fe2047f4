//! What a query asks, and the SQL of it. Values travel as parameters; the text is made of fixed
//! pieces only.

use crate::db::Value;
use crate::ids::InstitutionId;
use crate::name::{TermKind, search_key};
use crate::patient;
use dataset::matching::{Match, Pattern};

/// Values of one list that are looked at.
const LIST_VALUES_MAX: usize = 500;
/// Words of a name that is asked fuzzily.
const FUZZY_WORDS_MAX: usize = 6;
/// Greater than every character of a value: the end of a range of prefixes.
const AFTER_ALL: char = '\u{10FFFF}';

/// Which studies an asker may see at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything: the system itself, and readers of the centre.
    All,
    /// Studies of these institutions, and of persons who have an order or a study at `treating`.
    Of {
        /// Owners.
        institutions: Vec<InstitutionId>,
        /// Where the asker treats.
        treating: Option<InstitutionId>,
    },
}

/// Keys of the patient and study level; the default asks for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyFilter {
    /// Patient ID.
    pub patient_id: Match,
    /// Issuer of Patient ID.
    pub issuer: Match,
    /// Patient's Name: compared without regard to case, width and separators, with the written
    /// form, the Latin form and the pinyin.
    pub patient_name: Match,
    /// Patient's Birth Date.
    pub birth_date: Match,
    /// Patient's Sex.
    pub sex: Match,
    /// Study Instance UID.
    pub study_uid: Match,
    /// Accession Number.
    pub accession_number: Match,
    /// Study ID.
    pub study_id: Match,
    /// Study Date.
    pub study_date: Match,
    /// Study Time.
    pub study_time: Match,
    /// Study Description.
    pub description: Match,
    /// Referring Physician's Name.
    pub referring_physician: Match,
    /// One of the modalities in the study.
    pub modality: Match,
    /// Person across institutions.
    pub person_id: Option<crate::PersonId>,
    /// Names by their beginning, part, pinyin or first letters (PS3.4 C.2.2.2.1, fuzzy semantic
    /// matching; PS3.18 8.3.4.2 `fuzzymatching`).
    pub fuzzy_names: bool,
}

impl Default for StudyFilter {
    fn default() -> Self {
        let any = || Match::Universal;
        Self {
            patient_id: any(),
            issuer: any(),
            patient_name: any(),
            birth_date: any(),
            sex: any(),
            study_uid: any(),
            accession_number: any(),
            study_id: any(),
            study_date: any(),
            study_time: any(),
            description: any(),
            referring_physician: any(),
            modality: any(),
            person_id: None,
            fuzzy_names: false,
        }
    }
}

/// Keys of the series level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFilter {
    /// Keys of the study.
    pub study: StudyFilter,
    /// Series Instance UID.
    pub series_uid: Match,
    /// Modality.
    pub modality: Match,
    /// Series Number.
    pub number: Match,
    /// Series Description.
    pub description: Match,
    /// Body Part Examined.
    pub body_part: Match,
    /// Series Date.
    pub series_date: Match,
    /// Series Time.
    pub series_time: Match,
}

impl Default for SeriesFilter {
    fn default() -> Self {
        let any = || Match::Universal;
        Self {
            study: StudyFilter::default(),
            series_uid: any(),
            modality: any(),
            number: any(),
            description: any(),
            body_part: any(),
            series_date: any(),
            series_time: any(),
        }
    }
}

/// Keys of the instance level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Keys of study and series.
    pub series: SeriesFilter,
    /// SOP Instance UID.
    pub sop_instance_uid: Match,
    /// SOP Class UID.
    pub sop_class_uid: Match,
    /// Instance Number.
    pub number: Match,
}

impl Default for InstanceFilter {
    fn default() -> Self {
        Self {
            series: SeriesFilter::default(),
            sop_instance_uid: Match::Universal,
            sop_class_uid: Match::Universal,
            number: Match::Universal,
        }
    }
}

/// The conditions of one query while they are gathered.
#[derive(Default)]
pub(super) struct Conditions {
    text: Vec<String>,
    pub(super) params: Vec<Value>,
}

impl Conditions {
    /// The next parameter's mark.
    pub(super) fn mark(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    /// The number of the next parameter.
    fn number_of(&mut self, value: Value) -> usize {
        self.params.push(value);
        self.params.len()
    }

    pub(super) fn and(&mut self, text: String) {
        self.text.push(text);
    }

    /// ` WHERE ...`, or nothing.
    pub(super) fn where_text(&self) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.text.join(" AND "))
    }

    fn list(&mut self, column: &str, values: &[String]) -> String {
        let marks: Vec<String> = values
            .iter()
            .take(LIST_VALUES_MAX)
            .map(|v| self.mark(v))
            .collect();
        if marks.is_empty() {
            return "0 = 1".to_owned();
        }
        format!("{column} IN ({})", marks.join(", "))
    }

    fn wildcard(&mut self, column: &str, pattern: &Pattern) -> String {
        let mut parts = Vec::new();
        // The fixed beginning lets an index serve; LIKE is only needed for what follows it.
        if !pattern.prefix().is_empty() {
            let from = self.mark(pattern.prefix());
            let to = self.mark(format!("{}{AFTER_ALL}", pattern.prefix()));
            parts.push(format!("{column} >= {from} AND {column} < {to}"));
        }
        if !pattern.is_prefix() {
            let like = self.mark(pattern.to_like());
            parts.push(format!("{column} LIKE {like} ESCAPE '\\'"));
        }
        if parts.is_empty() {
            "1 = 1".to_owned()
        } else {
            parts.join(" AND ")
        }
    }

    fn one(&mut self, column: &str, asked: &Match) -> Option<String> {
        match asked {
            Match::Universal => None,
            Match::Single(value) => {
                let mark = self.mark(value);
                Some(format!("{column} = {mark}"))
            }
            Match::Wildcard(pattern) => Some(self.wildcard(column, pattern)),
            Match::List(values) => Some(self.list(column, values)),
            Match::Range { from, to } => {
                let mut parts = Vec::new();
                if let Some(from) = from {
                    let mark = self.mark(from);
                    parts.push(format!("{column} >= {mark}"));
                }
                if let Some(to) = to {
                    // `2026` holds all of 2026, `0830` all of that minute.
                    let mark = self.mark(format!("{to}{AFTER_ALL}"));
                    parts.push(format!("{column} < {mark}"));
                }
                (!parts.is_empty()).then(|| parts.join(" AND "))
            }
        }
    }

    /// A text column.
    pub(super) fn text(&mut self, column: &str, asked: &Match) {
        if let Some(text) = self.one(column, asked) {
            self.and(format!("({text})"));
        }
    }

    /// A text column that is compared without regard to case.
    pub(super) fn text_any_case(&mut self, column: &str, asked: &Match) {
        let column = format!("UPPER({column})");
        // Both databases turn ASCII letters alike; others are left as they are here too.
        let asked = asked.clone().map(str::to_ascii_uppercase);
        self.text(&column, &asked);
    }

    /// A whole number; a value that is none matches nothing.
    pub(super) fn number(&mut self, column: &str, asked: &Match) {
        let text = match asked {
            Match::Single(value) => value.trim().parse::<i64>().ok(),
            _ => return,
        };
        match text {
            Some(number) => {
                let mark = self.mark(number);
                self.and(format!("{column} = {mark}"));
            }
            None => self.and("0 = 1".to_owned()),
        }
    }

    /// A person's name in any of its forms.
    fn name(&mut self, asked: &Match) {
        if asked.is_universal() {
            return;
        }
        let key = asked.clone().map(name_form);
        let joined = asked.clone().map(|text| name_form(text).replace(' ', ""));
        // Another reading of the whole name is as good as the usual one.
        let reading = TermKind::Reading.code();
        let columns = [
            ("name_key", &key),
            ("alphabetic_key", &key),
            ("pinyin_key", &joined),
        ];
        let mut parts: Vec<String> = columns
            .iter()
            .filter_map(|(column, asked)| {
                let text = self.one(&format!("pn.{column}"), asked)?;
                Some(format!("SELECT pn.id FROM patient pn WHERE {text}"))
            })
            .collect();
        if let Some(text) = self.one("pt.term", &joined) {
            parts.push(format!(
                "SELECT pt.patient_id FROM patient_term pt WHERE {text} AND pt.kind = {reading}"
            ));
        }
        if !parts.is_empty() {
            self.and(format!("p.id IN ({})", parts.join(" UNION ")));
        }
    }

    /// A person's name as somebody remembers it: each word begins the name or a part of it, in
    /// characters, letters, pinyin or first letters.
    fn fuzzy_name(&mut self, asked: &Match) {
        let text = match asked {
            Match::Single(text) => text.clone(),
            Match::Wildcard(pattern) => pattern.as_str().replace(['*', '?'], " "),
            Match::Universal | Match::List(_) | Match::Range { .. } => return self.name(asked),
        };
        let key = search_key(&text);
        // Characters and pinyin of one word each: joined as a whole, and word by word.
        let words: Vec<&str> = key
            .split(' ')
            .filter(|w| !w.is_empty())
            .take(FUZZY_WORDS_MAX)
            .collect();
        let whole = patient::names_found(&text, &mut |value| self.number_of(value));
        let mut each = Vec::new();
        if words.len() > 1 {
            for word in words {
                let ids = patient::names_found(word, &mut |value| self.number_of(value));
                each.extend(ids.map(|ids| format!("p.id IN ({ids})")));
            }
        }
        let mut parts: Vec<String> = whole.map(|ids| format!("p.id IN ({ids})")).into_iter().collect();
        if !each.is_empty() {
            parts.push(format!("({})", each.join(" AND ")));
        }
        if !parts.is_empty() {
            self.and(format!("({})", parts.join(" OR ")));
        }
    }

    fn modality(&mut self, asked: &Match) {
        if asked.is_universal() {
            return;
        }
        if let Some(text) = self.one("sm.modality", asked) {
            self.and(format!(
                "EXISTS (SELECT 1 FROM series sm WHERE sm.study_id = st.id AND {text})"
            ));
        }
    }

    pub(super) fn scope(&mut self, scope: &Scope) {
        let Scope::Of {
            institutions,
            treating,
        } = scope
        else {
            return;
        };
        let mut parts = Vec::new();
        if !institutions.is_empty() {
            let marks: Vec<String> = institutions.iter().map(|id| self.mark(*id)).collect();
            parts.push(format!("st.institution_id IN ({})", marks.join(", ")));
        }
        if let Some(here) = treating {
            let mark = self.mark(*here);
            // Asked row by row: a set of all persons treated here would be made for each query.
            parts.push(format!(
                "EXISTS (SELECT 1 FROM patient pt WHERE pt.person_id = p.person_id AND pt.institution_id = {mark} \
                 AND (EXISTS (SELECT 1 FROM exam_order ot WHERE ot.patient_id = pt.id) \
                 OR EXISTS (SELECT 1 FROM study tt WHERE tt.patient_id = pt.id)))"
            ));
        }
        if parts.is_empty() {
            parts.push("0 = 1".to_owned());
        }
        self.and(format!("({})", parts.join(" OR ")));
    }

    /// Whether a key of the patient is asked that few patients fit, so that a plan should begin
    /// there.
    pub(super) fn patient(&mut self, asked: &StudyFilter) {
        self.text("p.identifier", &asked.patient_id);
        self.text("p.issuer", &asked.issuer);
        if asked.fuzzy_names {
            self.fuzzy_name(&asked.patient_name);
        } else {
            self.name(&asked.patient_name);
        }
        self.text("p.birth_date", &asked.birth_date);
        self.text("p.sex", &asked.sex);
        if let Some(person) = asked.person_id {
            let mark = self.mark(person);
            self.and(format!("p.person_id = {mark}"));
        }
    }

    pub(super) fn study(&mut self, asked: &StudyFilter) {
        self.text("st.study_uid", &asked.study_uid);
        self.text("st.accession_number", &asked.accession_number);
        self.text("st.study_id_text", &asked.study_id);
        self.text("st.study_date", &asked.study_date);
        self.text("st.study_time", &asked.study_time);
        self.text_any_case("st.description", &asked.description);
        self.text_any_case("st.referring_physician", &asked.referring_physician);
        self.modality(&asked.modality);
    }

    pub(super) fn series(&mut self, asked: &SeriesFilter) {
        self.text("se.series_uid", &asked.series_uid);
        self.text("se.modality", &asked.modality);
        self.number("se.number", &asked.number);
        self.text_any_case("se.description", &asked.description);
        self.text("se.body_part", &asked.body_part);
        self.text("se.series_date", &asked.series_date);
        self.text("se.series_time", &asked.series_time);
    }

    pub(super) fn instance(&mut self, asked: &InstanceFilter) {
        self.text("i.sop_instance_uid", &asked.sop_instance_uid);
        self.text("i.sop_class_uid", &asked.sop_class_uid);
        self.number("i.number", &asked.number);
    }
}

/// The search form of a name's text; wildcards stay where they are.
fn name_form(text: &str) -> String {
    let mut form = String::new();
    let mut piece = String::new();
    for c in text.chars() {
        if c == '*' || c == '?' {
            form.push_str(&piece_form(&piece, &form));
            piece.clear();
            form.push(c);
        } else {
            piece.push(c);
        }
    }
    form.push_str(&piece_form(&piece, &form));
    form
}

/// A piece between wildcards: a separator at its beginning or end is a gap that must stay.
fn piece_form(piece: &str, before: &str) -> String {
    let key = search_key(piece);
    let is_gap = |c: char| c == '^' || c == ' ';
    if !before.is_empty() && piece.starts_with(is_gap) && !key.is_empty() && key.is_ascii() {
        return format!(" {key}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::Vr;

    #[test]
    fn names_are_asked_in_their_search_form() {
        for (text, form) in [
            ("Wang^XiaoMing", "WANG XIAOMING"),
            ("wang*", "WANG*"),
            ("*^xiao?ing", "* XIAO?ING"),
            ("王^小*", "王小*"),
            ("ｗａｎｇ*", "WANG*"),
        ] {
            assert_eq!(name_form(text), form, "{text}");
        }
    }

    #[test]
    fn values_never_stand_in_the_text() {
        let hostile = "'; DROP TABLE study; --%_\\";
        let asked = StudyFilter {
            patient_id: Match::parse(Vr::LO, hostile),
            patient_name: Match::parse(Vr::PN, &format!("{hostile}*x")),
            study_uid: Match::parse(Vr::UI, &format!("{hostile},{hostile}")),
            study_date: Match::parse(Vr::DA, "20250101-20251231"),
            description: Match::parse(Vr::LO, &format!("*{hostile}*")),
            modality: Match::parse(Vr::CS, hostile),
            ..StudyFilter::default()
        };
        let mut conditions = Conditions::default();
        conditions.patient(&asked);
        conditions.study(&asked);
        let text = conditions.where_text();
        assert!(!text.contains("DROP") && !text.contains("--"), "{text}");
        assert!(conditions.params.len() > 10, "{text}");
    }
}
