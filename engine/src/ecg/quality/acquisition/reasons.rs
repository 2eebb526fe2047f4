//! Reasons of the gate, in words that a technician acts upon.

use super::{
    Evidence, LeadName, Placement, Record, SATURATED_SHARE, STANDARD_LEADS, Seen, Serialize, Signs, Verdict,
    limit,
};

/// One reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Stable word: `too_short`, `low_sampling_rate`, `leads_missing`, `no_beats`, `lead_off`, `signal_gaps`,
    /// `saturated`, `noise`, `baseline_wander`, `mains_interference`, `limb_lead_reversal`, `dextrocardia_pattern`.
    pub code: &'static str,
    /// How much it weighs.
    pub verdict: Verdict,
    /// The leads that it is about; none when it is about all.
    pub leads: Vec<LeadName>,
    /// What is wrong and what to do, in Chinese.
    pub text_zh: String,
    /// The same in English.
    pub text_en: String,
    /// The numbers that it rests on, in English.
    pub evidence: String,
    /// The same in Chinese.
    pub evidence_zh: String,
}

impl Reason {
    fn new(code: &'static str, verdict: Verdict, text: (&str, &str), evidence: Evidence) -> Self {
        Self {
            code,
            verdict,
            leads: Vec::new(),
            text_zh: text.0.to_owned(),
            text_en: text.1.to_owned(),
            evidence: evidence.en,
            evidence_zh: evidence.zh,
        }
    }

    fn about(mut self, leads: Vec<LeadName>) -> Self {
        self.leads = leads;
        self
    }

    pub(super) fn of_placement(placement: Placement, evidence: Evidence) -> Self {
        let code = match placement {
            Placement::Dextrocardia => "dextrocardia_pattern",
            _ => "limb_lead_reversal",
        };
        Self::new(code, Verdict::RepeatAdvised, placement.words(), evidence)
    }
}

/// Length, rate, leads and beats.
pub(super) fn of_shape(seen: &Seen<'_>, out: &mut Vec<Reason>) {
    const STANDARD_S: f64 = 9.5;
    const SHORTEST_S: f64 = 2.5;
    const GOOD_HZ: f64 = 500.0;
    const ENOUGH_HZ: f64 = 200.0;
    const LOWEST_HZ: f64 = 100.0;
    let (duration, rate) = (seen.duration_s, seen.record.sampling_rate_hz);
    if duration < STANDARD_S {
        let verdict = if duration < SHORTEST_S {
            Verdict::Unusable
        } else {
            Verdict::RepeatAdvised
        };
        let text = ("记录过短,请采集10秒", "Too short: record 10 s");
        let evidence = Evidence::plain(format!("{duration:.1} s"));
        out.push(Reason::new("too_short", verdict, text, evidence));
    }
    if rate < GOOD_HZ {
        let verdict = match rate {
            r if r < LOWEST_HZ => Verdict::Unusable,
            r if r < ENOUGH_HZ => Verdict::RepeatAdvised,
            _ => Verdict::Ok,
        };
        let text = (
            "采样率偏低,波形细节可能失真",
            "Low sampling rate: fine detail may be lost",
        );
        let evidence = Evidence::plain(format!("{rate:.0} Hz"));
        out.push(Reason::new("low_sampling_rate", verdict, text, evidence));
    }
    let missing = missing_leads(seen.record);
    if !missing.is_empty() {
        let evidence = Evidence::plain(missing.join(", "));
        let text = ("导联不全", "Leads are missing");
        let reason = Reason::new("leads_missing", Verdict::RepeatAdvised, text, evidence);
        out.push(reason.about(missing.into_iter().map(LeadName::new).collect()));
    }
    if seen.beats == 0 && !seen.fibrillates {
        let text = (
            "未检出心搏:先看病人,再查电极与导联线",
            "No beat found: look at the patient first, then at electrodes and cable",
        );
        let evidence = Evidence::new(
            format!("{duration:.1} s内0个心搏"),
            format!("0 beats in {duration:.1} s"),
        );
        out.push(Reason::new("no_beats", Verdict::Unusable, text, evidence));
    }
}

/// Standard leads that a recording which is meant to have twelve lacks.
fn missing_leads(record: &Record) -> Vec<&'static str> {
    const MEANT_AS_TWELVE: usize = 6;
    let has = |place: usize| record.standard(place).is_some();
    let there = (0..STANDARD_LEADS.len()).filter(|place| has(*place)).count();
    if there < MEANT_AS_TWELVE {
        return Vec::new();
    }
    let absent = STANDARD_LEADS
        .iter()
        .enumerate()
        .filter(|(place, _)| !has(*place));
    absent.map(|(_, name)| *name).collect()
}

/// What the leads suffer from, one reason for each trouble.
pub(super) fn of_leads(seen: &Seen<'_>, out: &mut Vec<Reason>) {
    let leads = || seen.record.leads.iter().zip(seen.signs);
    let all = leads().filter(|(lead, _)| !lead.derived).count();
    let suffering = |test: &dyn Fn(&Signs) -> bool| -> Vec<LeadName> {
        let chosen = leads().filter(|(lead, signs)| !lead.derived && test(signs));
        chosen.map(|(lead, _)| lead.name.clone()).collect()
    };
    // More than half of the leads lost leave nothing to read.
    let by_count = |lost: usize| {
        if 2 * lost > all {
            Verdict::Unusable
        } else {
            Verdict::RepeatAdvised
        }
    };
    let mut off = suffering(&Signs::is_off);
    // The other limb leads are sums of I and II: alone they are flat where the axis stands across them.
    let source = |lead: &LeadName| matches!(lead.as_str(), "I" | "II");
    if !off.iter().any(source) {
        off.retain(|lead| !matches!(lead.standard_index(), Some(2..=5)));
    }
    // Without a beat every lead is flat, and that has its own reason.
    if !off.is_empty() && seen.beats > 0 {
        let (zh, en) = electrode(seen.record, &off);
        let evidence = listed(&off);
        out.push(Reason::new("lead_off", by_count(off.len()), (&zh, &en), evidence).about(off));
    }
    for trouble in TROUBLES {
        let leads = suffering(&trouble.test);
        if leads.is_empty() {
            continue;
        }
        let verdict = match trouble.code {
            "noise" => by_count(suffering(&|s| !s.is_off() && s.is_drowned()).len()),
            _ => trouble.verdict,
        };
        let evidence = worst(seen, trouble, &leads);
        out.push(Reason::new(trouble.code, verdict, trouble.text, evidence).about(leads));
    }
}

/// What a lead that carries a signal may suffer from.
struct Trouble {
    code: &'static str,
    verdict: Verdict,
    text: (&'static str, &'static str),
    test: fn(&Signs) -> bool,
    number: fn(&Signs) -> f64,
    unit: &'static str,
}

const TROUBLES: &[Trouble] = &[
    Trouble {
        code: "signal_gaps",
        verdict: Verdict::RepeatAdvised,
        text: (
            "信号中断,检查电极接触",
            "The signal breaks off: check the contact of the electrodes",
        ),
        test: |s| !s.is_off() && s.missing > limit::MISSING_SHARE,
        number: |s| 100.0 * s.missing,
        unit: "%",
    },
    Trouble {
        code: "saturated",
        verdict: Verdict::RepeatAdvised,
        text: (
            "波形削顶(放大器饱和)",
            "Waves are cut off at the end of the range",
        ),
        test: |s| s.saturated > SATURATED_SHARE,
        number: |s| 100.0 * s.saturated,
        unit: "%",
    },
    Trouble {
        code: "noise",
        verdict: Verdict::RepeatAdvised,
        text: (
            "干扰明显,请病人放松并检查皮肤接触",
            "Noise: let the patient relax, check the skin contact",
        ),
        test: |s| !s.is_off() && s.is_noisy(),
        number: |s| s.noise_uv,
        unit: "µV",
    },
    Trouble {
        code: "baseline_wander",
        verdict: Verdict::RepeatAdvised,
        text: (
            "基线漂移明显,请病人平静呼吸",
            "Baseline wander: let the patient breathe quietly",
        ),
        test: |s| s.wander_uv > limit::WANDER_UV,
        number: |s| s.wander_uv,
        unit: "µV",
    },
    Trouble {
        code: "mains_interference",
        verdict: Verdict::Ok,
        text: (
            "工频干扰,检查接地与电极",
            "Mains interference: check earth and electrodes",
        ),
        test: |s| s.mains_uv > limit::MAINS_UV,
        number: |s| s.mains_uv,
        unit: "µV",
    },
];

fn listed(leads: &[LeadName]) -> Evidence {
    let names: Vec<&str> = leads.iter().map(LeadName::as_str).collect();
    Evidence::new(names.join("、"), names.join(", "))
}

/// The leads, and the number of the one that suffers most.
fn worst(seen: &Seen<'_>, trouble: &Trouble, leads: &[LeadName]) -> Evidence {
    let own = seen.record.leads.iter().zip(seen.signs);
    let numbers = own
        .filter(|(lead, _)| leads.contains(&lead.name))
        .map(|(_, signs)| (trouble.number)(signs));
    let unit = trouble.unit;
    let most = numbers.fold(0.0, f64::max);
    let Evidence { zh, en } = listed(leads);
    Evidence::new(
        format!("{zh}: 最大{most:.0} {unit}"),
        format!("{en}: up to {most:.0} {unit}"),
    )
}

/// The electrode whose loss takes these leads away: I lies between the arms, II between right arm and left leg.
fn electrode(record: &Record, off: &[LeadName]) -> (String, String) {
    let lost = |name: &str| off.iter().any(|lead| lead.as_str() == name);
    let recorded = record.leads.iter().filter(|lead| !lead.derived).count();
    let chest: Vec<&str> = off
        .iter()
        .map(LeadName::as_str)
        .filter(|name| name.starts_with('V'))
        .collect();
    let (mut zh, mut en): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    if off.len() == recorded {
        (zh, en) = (
            vec!["右下肢(RL)或导联线".into()],
            vec!["right leg (RL) or the cable".into()],
        );
    } else {
        let limb = match (lost("I"), lost("II")) {
            (true, true) => Some(("右上肢(RA)", "right arm (RA)")),
            (true, false) => Some(("左上肢(LA)", "left arm (LA)")),
            (false, true) => Some(("左下肢(LL)", "left leg (LL)")),
            (false, false) => None,
        };
        if let Some((limb_zh, limb_en)) = limb {
            zh.push(limb_zh.into());
            en.push(limb_en.into());
        }
        zh.extend(chest.iter().map(|name| (*name).to_owned()));
        en.extend(chest.iter().map(|name| (*name).to_owned()));
    }
    if zh.is_empty() {
        return (
            "导联脱落,检查电极".into(),
            "Lead off: check its electrodes".into(),
        );
    }
    (
        format!("导联脱落,检查电极: {}", zh.join("、")),
        format!("Lead off: check the electrode {}", en.join(", ")),
    )
}
