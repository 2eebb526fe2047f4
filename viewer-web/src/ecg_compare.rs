//! Serial comparison: what changed between two machine readings of one person.
//!
//! Works on the analyses as they are kept (JSON), so that an ECG that was read by an older version compares as well. Each
//! line is a value, an earlier value and their difference, or the reason why there is none.

use serde_json::{Map, Value, json};

/// A number that is compared.
struct Measure {
    name: &'static str,
    unit: &'static str,
    /// Change that is pointed out; none for those that are only listed. Limits of attention, not of disease.
    notable_from: Option<f64>,
    /// Angles turn: the difference goes the shorter way.
    is_angle: bool,
}

const fn measure(name: &'static str, unit: &'static str, notable_from: f64) -> Measure {
    Measure {
        name,
        unit,
        notable_from: Some(notable_from),
        is_angle: false,
    }
}

/// QTc: the larger of the two steps of ICH E14 (2005), section III.B. The others are wider than what differs between two
/// recordings of a healthy person minutes apart.
const MEASURES: [Measure; 7] = [
    measure("heart_rate_bpm", "/min", 20.0),
    measure("pr_ms", "ms", 40.0),
    measure("qrs_ms", "ms", 20.0),
    measure("qt_ms", "ms", 60.0),
    measure("qtc_fridericia_ms", "ms", 60.0),
    Measure {
        name: "qrs_axis_deg",
        unit: "°",
        notable_from: Some(30.0),
        is_angle: true,
    },
    Measure {
        name: "t_axis_deg",
        unit: "°",
        notable_from: Some(60.0),
        is_angle: true,
    },
];

/// New elevation and new depression that are pointed out (Fourth Universal Definition of Myocardial Infarction, 2018,
/// table 2: 0.1 mV and 0.05 mV, in V2 and V3 0.2 mV for elevation in most men).
const ST_RISE_MV: f64 = 0.1;
const ST_RISE_V2_V3_MV: f64 = 0.2;
const ST_FALL_MV: f64 = 0.05;
const STANDARD: [&str; 12] = [
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
];

/// The comparison of `current` with `previous`.
pub(crate) fn compare(current: &Value, previous: &Value) -> Value {
    let changes: Vec<Value> = MEASURES.iter().map(|m| line(m, current, previous)).collect();
    let st: Vec<Value> = STANDARD
        .iter()
        .filter_map(|lead| st_line(lead, current, previous))
        .collect();
    let (new, gone) = (
        only_in(current, previous, "statements", "code"),
        only_in(previous, current, "statements", "code"),
    );
    json!({
        "changes": changes,
        "st_mv": st,
        "rhythm": {
            "current": current.get("rhythm"),
            "previous": previous.get("rhythm"),
            "changed": current.get("rhythm") != previous.get("rhythm"),
        },
        "statements": {"new": new, "gone": gone},
    })
}

fn number(analysis: &Value, name: &str) -> Option<f64> {
    analysis.get("measurements")?.get(name)?.as_f64()
}

fn line(m: &Measure, current: &Value, previous: &Value) -> Value {
    let (now, before) = (number(current, m.name), number(previous, m.name));
    let difference = now.zip(before).map(|(now, before)| {
        let plain = now - before;
        match m.is_angle {
            true => (plain + 180.0).rem_euclid(360.0) - 180.0,
            false => plain,
        }
    });
    let notable = difference
        .zip(m.notable_from)
        .is_some_and(|(d, from)| d.abs() >= from);
    let mut line = json!({
        "name": m.name,
        "unit": m.unit,
        "current": now,
        "previous": before,
        "difference": difference.map(|d| (d * 10.0).round() / 10.0),
        "notable": notable,
    });
    if difference.is_none()
        && let Value::Object(members) = &mut line
    {
        let (zh, en) = why(
            m.name,
            now.is_none(),
            if now.is_none() { current } else { previous },
        );
        members.insert("reason_zh".into(), json!(zh));
        members.insert("reason_en".into(), json!(en));
    }
    line
}

/// Why a number has nothing to compare with.
fn why(name: &str, is_current: bool, analysis: &Value) -> (String, String) {
    let said = analysis
        .get("not_measurable")
        .and_then(|all| all.get(name)?.as_str());
    let en = said.unwrap_or("not measured");
    let (which_zh, which_en) = match is_current {
        true => ("本次", "now"),
        false => ("上次", "before"),
    };
    (
        format!("{which_zh}测不出：{}", reason_zh(en)),
        format!("not measurable {which_en}: {en}"),
    )
}

fn st_line(lead: &str, current: &Value, previous: &Value) -> Option<Value> {
    let level = |analysis: &Value| {
        let all = analysis.get("measurements")?.get("st_mv")?;
        all.get(lead)?.as_f64()
    };
    let (now, before) = (level(current), level(previous));
    if now.is_none() && before.is_none() {
        return None;
    }
    let difference = now.zip(before).map(|(now, before)| now - before);
    let rise = match lead {
        "V2" | "V3" => ST_RISE_V2_V3_MV,
        _ => ST_RISE_MV,
    };
    // aVR mirrors the others: a change there is listed and not pointed out alone.
    let notable = difference.is_some_and(|d| lead != "aVR" && (d >= rise || d <= -ST_FALL_MV));
    Some(json!({
        "lead": lead,
        "current": now,
        "previous": before,
        "difference": difference.map(|d| (d * 1000.0).round() / 1000.0),
        "notable": notable,
    }))
}

/// Items of a list that the other analysis has not, by their code.
fn only_in(one: &Value, other: &Value, list: &str, code: &str) -> Vec<Value> {
    let items = |analysis: &Value| {
        let found = analysis.get(list).and_then(Value::as_array);
        found.cloned().unwrap_or_default()
    };
    let known = items(other);
    let is_new = |item: &Value| known.iter().all(|k| k.get(code) != item.get(code));
    let shown =
        |item: Value| json!({"code": item[code], "text_zh": item["text_zh"], "text_en": item["text_en"]});
    items(one).into_iter().filter(is_new).map(shown).collect()
}

/// A reason of the engine in Chinese; what is not known here stays as it is.
pub(crate) fn reason_zh(en: &str) -> String {
    let known = match en {
        "atrial fibrillation has no P wave" => "心房颤动无 P 波",
        "atrial flutter has no P wave" => "心房扑动无 P 波",
        "ventricular fibrillation has no P wave" => "心室颤动无 P 波",
        "fewer than two beats were found" => "心搏少于两个",
        "the limits of the QRS could not be told" => "QRS 起止点不清",
        "the end of the T wave could not be told" => "T 波终点不清",
        "no P wave precedes the QRS consistently" => "QRS 前无恒定 P 波",
        "no beat was found" => "未检出心搏",
        "the limits of the P wave could not be told" => "P 波起止点不清",
        "the wave is too small in leads I and II" => "I、II 导联波形过小",
        "leads I and II are needed" => "缺少 I、II 导联",
        "not measured" => "没有测量",
        other => match other
            .strip_prefix("lead ")
            .and_then(|rest| rest.strip_suffix(" is not recorded"))
        {
            Some(lead) => return format!("没有记录 {lead} 导联"),
            None => other,
        },
    };
    known.to_owned()
}

/// Adds the reasons in Chinese beside those of the engine.
pub(crate) fn add_reasons_zh(analysis: &mut Map<String, Value>) {
    let Some(Value::Object(reasons)) = analysis.get("not_measurable") else {
        return;
    };
    let zh: Map<String, Value> = reasons
        .iter()
        .filter_map(|(name, en)| Some((name.clone(), json!(reason_zh(en.as_str()?)))))
        .collect();
    analysis.insert("not_measurable_zh".into(), Value::Object(zh));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(rate: f64, axis: f64, st: f64, rhythm: &str, codes: &[&str]) -> Value {
        let statements: Vec<Value> = codes
            .iter()
            .map(|code| json!({"code": code, "text_zh": code, "text_en": code}))
            .collect();
        json!({
            "rhythm": rhythm,
            "measurements": {
                "heart_rate_bpm": rate, "pr_ms": null, "qrs_ms": 90.0, "qt_ms": 380.0, "qtc_fridericia_ms": 400.0,
                "qrs_axis_deg": axis, "t_axis_deg": 40.0, "st_mv": {"II": st, "V2": st, "aVR": -st},
            },
            "statements": statements,
            "not_measurable": {"pr_ms": "atrial fibrillation has no P wave"},
        })
    }

    fn of<'v>(list: &'v Value, key: &str, name: &str) -> &'v Value {
        let found = list.as_array().unwrap().iter().find(|item| item[key] == name);
        found.unwrap_or(&Value::Null)
    }

    #[test]
    fn differences_have_their_sign_and_are_pointed_out_from_their_limit() {
        let check = |now: f64, before: f64, difference: f64, notable: bool| {
            let made = compare(
                &reading(now, 0.0, 0.0, "x", &[]),
                &reading(before, 0.0, 0.0, "x", &[]),
            );
            let line = of(&made["changes"], "name", "heart_rate_bpm");
            assert_eq!(
                (line["difference"].as_f64(), &line["notable"]),
                (Some(difference), &json!(notable))
            );
        };
        check(72.0, 70.0, 2.0, false);
        check(52.0, 72.0, -20.0, true);
        check(92.0, 72.04, 20.0, false);
    }

    #[test]
    fn axes_turn_the_shorter_way() {
        let check = |now: f64, before: f64, difference: f64, notable: bool| {
            let made = compare(
                &reading(70.0, now, 0.0, "x", &[]),
                &reading(70.0, before, 0.0, "x", &[]),
            );
            let line = of(&made["changes"], "name", "qrs_axis_deg");
            assert_eq!(
                (line["difference"].as_f64(), &line["notable"]),
                (Some(difference), &json!(notable))
            );
        };
        check(60.0, 45.0, 15.0, false);
        check(-170.0, 170.0, 20.0, false);
        check(170.0, -150.0, -40.0, true);
    }

    #[test]
    fn st_is_judged_by_direction_and_lead() {
        let check = |now: f64, before: f64, two: bool, v2: bool| {
            let made = compare(
                &reading(70.0, 0.0, now, "x", &[]),
                &reading(70.0, 0.0, before, "x", &[]),
            );
            let notable = |lead: &str| of(&made["st_mv"], "lead", lead)["notable"].clone();
            assert_eq!(
                (notable("II"), notable("V2"), notable("aVR")),
                (json!(two), json!(v2), json!(false))
            );
            assert_eq!(
                made["st_mv"].as_array().unwrap().len(),
                3,
                "leads without a level are left out"
            );
        };
        check(0.02, 0.0, false, false);
        check(0.15, 0.0, true, false);
        check(0.25, 0.0, true, true);
        check(-0.06, 0.0, true, true);
    }

    #[test]
    fn a_missing_number_has_a_reason_in_both_languages() {
        let made = compare(
            &reading(70.0, 0.0, 0.0, "x", &[]),
            &reading(70.0, 0.0, 0.0, "x", &[]),
        );
        let line = of(&made["changes"], "name", "pr_ms");
        assert_eq!(line["difference"], Value::Null);
        assert_eq!(line["reason_zh"], "本次测不出：心房颤动无 P 波");
        assert_eq!(
            line["reason_en"],
            "not measurable now: atrial fibrillation has no P wave"
        );
        assert_eq!(reason_zh("lead V5 is not recorded"), "没有记录 V5 导联");
        assert_eq!(reason_zh("something new"), "something new");
    }

    #[test]
    fn findings_that_came_and_went_are_named() {
        let made = compare(
            &reading(70.0, 0.0, 0.0, "atrial_fibrillation", &["lbbb", "pause"]),
            &reading(70.0, 0.0, 0.0, "sinus_rhythm", &["pause", "lvh"]),
        );
        assert_eq!(made["rhythm"]["changed"], true);
        assert_eq!(made["statements"]["new"][0]["code"], "lbbb");
        assert_eq!(made["statements"]["gone"][0]["code"], "lvh");
        assert_eq!(
            compare(&json!({}), &json!({}))["changes"]
                .as_array()
                .unwrap()
                .len(),
            7
        );
    }
}
