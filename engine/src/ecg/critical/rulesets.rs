//! Rule sets: the national consensus and the trial lists of two provinces. Thresholds differ between them, so each is
//! named with every finding.

use super::Condition::{
    AtrialFibrillationRate, CompleteAvBlock, LongQtWithEctopy, PauseAtLeast, RateAtMost, StElevation,
    SupraventricularRate, VentricularFibrillation, VentricularTachycardia,
};
use super::{Rule, Ruleset};

const fn rule(
    rule: &'static str,
    text_zh: &'static str,
    text_en: &'static str,
    condition: super::Condition,
) -> Rule {
    Rule {
        rule,
        text_zh,
        text_en,
        condition,
    }
}

const FIBRILLATION: Rule = rule(
    "ventricular_fibrillation",
    "心室扑动、心室颤动",
    "Ventricular fibrillation or flutter",
    VentricularFibrillation,
);
const SUSTAINED_VT: Rule = rule(
    "sustained_ventricular_tachycardia",
    "室性心动过速≥150次/分且持续≥30秒",
    "Ventricular tachycardia of at least 150/min for at least 30 s",
    VentricularTachycardia {
        rate_bpm: 150.0,
        duration_s: 30.0,
    },
);
const ACUTE_ST: Rule = rule(
    "acute_st_elevation",
    "急性心肌梗死图形:相邻导联ST段抬高",
    "Pattern of acute myocardial infarction: ST elevation in neighbouring leads",
    StElevation {
        limb_mv: 0.1,
        chest_mv: 0.3,
    },
);
const PAUSE: Rule = rule(
    "pause",
    "RR间期≥3.0秒",
    "RR interval of at least 3.0 s",
    PauseAtLeast(3.0),
);
const AV_BLOCK: Rule = rule(
    "complete_av_block",
    "三度房室传导阻滞",
    "Third-degree AV block",
    CompleteAvBlock,
);
const LONG_QT: Rule = rule(
    "long_qt_with_ectopy",
    "QTc≥550 ms伴室性早搏",
    "QTc of at least 550 ms with ventricular ectopic beats",
    LongQtWithEctopy(550.0),
);

/// National consensus.
pub const CONSENSUS_2017: Ruleset = Ruleset {
    name: "consensus_2017",
    citation: "心电图危急值2017中国专家共识",
    rules: &[
        FIBRILLATION,
        SUSTAINED_VT,
        ACUTE_ST,
        PAUSE,
        AV_BLOCK,
        rule(
            "slow_ventricular_rate",
            "平均心室率≤35次/分",
            "Mean ventricular rate of 35/min or less",
            RateAtMost(35.0),
        ),
        rule(
            "fast_supraventricular",
            "室上性心动过速心室率≥200次/分",
            "Supraventricular tachycardia of at least 200/min",
            SupraventricularRate(200.0),
        ),
        rule(
            "fast_atrial_fibrillation",
            "心房颤动或扑动平均心室率≥200次/分",
            "Atrial fibrillation or flutter with a ventricular rate of at least 200/min",
            AtrialFibrillationRate(200.0),
        ),
        LONG_QT,
    ],
};

/// Trial list of Zhejiang.
pub const ZHEJIANG: Ruleset = Ruleset {
    name: "zhejiang",
    citation: "浙江省心电图危急值(试行)",
    rules: &[
        FIBRILLATION,
        SUSTAINED_VT,
        ACUTE_ST,
        PAUSE,
        AV_BLOCK,
        rule(
            "slow_ventricular_rate",
            "平均心室率<35次/分",
            "Mean ventricular rate below 35/min",
            RateAtMost(34.9),
        ),
        rule(
            "fast_supraventricular",
            "室上性心动过速心室率≥230次/分",
            "Supraventricular tachycardia of at least 230/min",
            SupraventricularRate(230.0),
        ),
        rule(
            "fast_atrial_fibrillation",
            "心房颤动或扑动平均心室率≥180次/分",
            "Atrial fibrillation or flutter with a ventricular rate of at least 180/min",
            AtrialFibrillationRate(180.0),
        ),
    ],
};

/// Trial list of Shanxi.
pub const SHANXI: Ruleset = Ruleset {
    name: "shanxi",
    citation: "山西省心电图危急值(试行,2017)",
    rules: &[
        FIBRILLATION,
        SUSTAINED_VT,
        ACUTE_ST,
        PAUSE,
        AV_BLOCK,
        rule(
            "slow_ventricular_rate",
            "平均心室率≤35次/分",
            "Mean ventricular rate of 35/min or less",
            RateAtMost(35.0),
        ),
        rule(
            "fast_supraventricular",
            "室上性心动过速心室率≥180次/分",
            "Supraventricular tachycardia of at least 180/min",
            SupraventricularRate(180.0),
        ),
        rule(
            "fast_atrial_fibrillation",
            "心房颤动或扑动心室率≥180次/分",
            "Atrial fibrillation or flutter with a ventricular rate of at least 180/min",
            AtrialFibrillationRate(180.0),
        ),
        LONG_QT,
    ],
};

/// All rule sets, the national one first.
#[must_use]
pub fn all() -> [&'static Ruleset; 3] {
    [&CONSENSUS_2017, &ZHEJIANG, &SHANXI]
}

/// The rule set of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Ruleset> {
    all().into_iter().find(|ruleset| ruleset.name == name)
}
