//! Places of a recording that a reader wants to see, a bounded number of them.

use super::report::{Holter, Strip};
use crate::ecg::beats::BeatClass;

/// Most strips.
pub(super) const STRIPS_MAX: usize = 24;
/// A strip begins so long before its place and ends so long behind it, in seconds.
const BEFORE_S: f64 = 4.0;
const AFTER_S: f64 = 6.0;
/// Most strips of one reason.
const PAUSES: usize = 3;
const SHAPES: usize = 3;
const SHIFTED_LEADS: usize = 3;

/// Chooses the strips, what matters most first.
pub(super) fn choose(holter: &Holter) -> Vec<Strip> {
    let mut chosen = Chosen {
        strips: Vec::new(),
        duration_s: holter.duration_s,
    };
    rhythm(holter, &mut chosen);
    ectopy(holter, &mut chosen);
    rates(holter, &mut chosen);
    segments(holter, &mut chosen);
    chosen.strips
}

struct Chosen {
    strips: Vec<Strip>,
    duration_s: f64,
}

impl Chosen {
    fn add(&mut self, at_s: f64, reason: &'static str, text_zh: String, text_en: String) {
        let near = |strip: &Strip| strip.reason == reason && (strip.from_s + BEFORE_S - at_s).abs() < 1.0;
        if self.strips.len() >= STRIPS_MAX || self.strips.iter().any(near) {
            return;
        }
        self.strips.push(Strip {
            from_s: (at_s - BEFORE_S).max(0.0),
            to_s: (at_s + AFTER_S).min(self.duration_s),
            reason,
            text_zh,
            text_en,
        });
    }
}

fn rhythm(holter: &Holter, chosen: &mut Chosen) {
    for pause in holter.pauses.told.iter().take(PAUSES) {
        let seconds = pause.duration_s;
        chosen.add(
            pause.at_s,
            "pause",
            format!("停搏 {seconds:.2} 秒"),
            format!("pause of {seconds:.2} s"),
        );
    }
    if let Some(longest) = &holter.atrial_fibrillation.longest {
        let minutes = (longest.to_s - longest.from_s) / 60.0;
        let text_zh = format!("最长心房颤动开始，持续 {minutes:.1} 分钟");
        let text_en = format!("begin of the longest atrial fibrillation, {minutes:.1} min");
        chosen.add(longest.from_s, "atrial_fibrillation_onset", text_zh, text_en);
        chosen.add(
            longest.to_s,
            "atrial_fibrillation_end",
            "最长心房颤动结束".to_owned(),
            "end of the longest atrial fibrillation".to_owned(),
        );
    }
}

fn ectopy(holter: &Holter, chosen: &mut Chosen) {
    let origins = [
        (&holter.ventricular, "室性", "ventricular"),
        (&holter.supraventricular, "室上性", "supraventricular"),
    ];
    for (ectopy, zh, en) in origins {
        let (longest, fastest, bigeminy) = if en == "ventricular" {
            (
                "longest_ventricular_run",
                "fastest_ventricular_run",
                "ventricular_bigeminy",
            )
        } else {
            (
                "longest_supraventricular_run",
                "fastest_supraventricular_run",
                "supraventricular_bigeminy",
            )
        };
        if let Some(run) = &ectopy.longest_run {
            let (beats, rate) = (run.beats, run.rate_bpm);
            chosen.add(
                run.at_s,
                longest,
                format!("最长{zh}连搏 {beats} 个，{rate:.0} 次/分"),
                format!("longest {en} run: {beats} beats, {rate:.0}/min"),
            );
        }
        if let Some(run) = &ectopy.fastest_run {
            let (beats, rate) = (run.beats, run.rate_bpm);
            chosen.add(
                run.at_s,
                fastest,
                format!("最快{zh}连搏 {rate:.0} 次/分，{beats} 个"),
                format!("fastest {en} run: {rate:.0}/min, {beats} beats"),
            );
        }
        if let Some((from_s, to_s)) = ectopy.bigeminy.told.first() {
            let seconds = to_s - from_s;
            chosen.add(
                *from_s,
                bigeminy,
                format!("{zh}早搏二联律，{seconds:.0} 秒"),
                format!("{en} bigeminy, {seconds:.0} s"),
            );
        }
    }
    let ventricular = holter
        .templates
        .iter()
        .filter(|t| t.class == BeatClass::Ventricular);
    for (number, shape) in ventricular.take(SHAPES).enumerate() {
        let (number, count) = (number + 1, shape.count);
        chosen.add(
            shape.example_at_s,
            "ventricular_shape",
            format!("室性早搏形态 {number}（{count} 个）"),
            format!("ventricular shape {number} ({count} beats)"),
        );
    }
}

fn rates(holter: &Holter, chosen: &mut Chosen) {
    let rate = &holter.heart_rate;
    for (place, reason, zh, en) in [
        (rate.highest, "highest_rate", "最快心率", "highest rate"),
        (rate.lowest, "lowest_rate", "最慢心率", "lowest rate"),
    ] {
        if let Some(place) = place {
            chosen.add(
                place.at_s,
                reason,
                format!("{zh} {:.0} 次/分", place.value),
                format!("{en} {:.0}/min", place.value),
            );
        }
    }
}

/// The leads whose ST is shifted most.
fn segments(holter: &Holter, chosen: &mut Chosen) {
    let mut shifted: Vec<(&str, f64, i32)> = Vec::new();
    for lead in &holter.st {
        let largest = lead.episodes.iter().max_by_key(|episode| episode.peak_uv.abs());
        if let Some(episode) = largest {
            shifted.push((lead.lead.as_str(), episode.peak_at_s, episode.peak_uv));
        }
    }
    shifted.sort_by_key(|(_, _, uv)| std::cmp::Reverse(uv.abs()));
    for (lead, at_s, uv) in shifted.into_iter().take(SHIFTED_LEADS) {
        let mv = f64::from(uv) / 1e3;
        chosen.add(
            at_s + BEFORE_S,
            "st_shift",
            format!("{lead} 导联 ST 段较平时偏移 {mv:+.2} mV"),
            format!("ST in {lead} {mv:+.2} mV off its usual level"),
        );
    }
}
