//! Words of the findings.

use super::{Evidence, Statement};

/// A finding by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    code: &'static str,
    text_zh: &'static str,
    text_en: &'static str,
    category: &'static str,
}

impl Finding {
    /// The finding with what it rests on.
    pub(crate) fn with(self, evidence: Evidence) -> Statement {
        Statement {
            code: self.code,
            text_zh: self.text_zh,
            text_en: self.text_en,
            category: self.category,
            evidence: evidence.en,
            evidence_zh: evidence.zh,
        }
    }
}

/// Whether a finding has this code.
pub(crate) fn is_code(code: &str) -> bool {
    CODES.contains(&code)
}

macro_rules! findings {
    ($($name:ident, $code:literal, $category:literal, $zh:literal, $en:literal;)*) => {
        $(pub(crate) const $name: Finding =
            Finding { code: $code, text_zh: $zh, text_en: $en, category: $category };)*

        /// Codes of all findings.
        const CODES: &[&str] = &[$($code),*];
    };
}

findings! {
    SINUS_RHYTHM, "sinus_rhythm", "rhythm", "窦性心律", "Sinus rhythm";
    SINUS_BRADYCARDIA, "sinus_bradycardia", "rhythm", "窦性心动过缓", "Sinus bradycardia";
    SINUS_TACHYCARDIA, "sinus_tachycardia", "rhythm", "窦性心动过速", "Sinus tachycardia";
    SINUS_ARRHYTHMIA, "sinus_arrhythmia", "rhythm", "窦性心律不齐", "Sinus arrhythmia";
    ATRIAL_FIBRILLATION, "atrial_fibrillation", "rhythm", "心房颤动", "Atrial fibrillation";
    ATRIAL_FLUTTER, "atrial_flutter", "rhythm", "心房扑动", "Atrial flutter";
    SUPRAVENTRICULAR_TACHYCARDIA, "supraventricular_tachycardia", "rhythm", "室上性心动过速", "Supraventricular tachycardia";
    VENTRICULAR_TACHYCARDIA, "ventricular_tachycardia", "rhythm", "室性心动过速", "Ventricular tachycardia";
    VENTRICULAR_FIBRILLATION, "ventricular_fibrillation", "rhythm", "心室颤动", "Ventricular fibrillation";
    JUNCTIONAL, "junctional", "rhythm", "交界性心律", "Junctional rhythm";
    IDIOVENTRICULAR, "idioventricular", "rhythm", "室性自主心律", "Idioventricular rhythm";
    PACED, "paced_rhythm", "pacing", "起搏心律", "Paced rhythm";
    PVC, "premature_ventricular_complex", "ectopy", "室性早搏", "Premature ventricular complexes";
    PVC_BIGEMINY, "ventricular_bigeminy", "ectopy", "室性早搏二联律", "Ventricular bigeminy";
    PVC_TRIGEMINY, "ventricular_trigeminy", "ectopy", "室性早搏三联律", "Ventricular trigeminy";
    PVC_COUPLET, "ventricular_couplet", "ectopy", "成对室性早搏", "Ventricular couplets";
    VENTRICULAR_RUN, "ventricular_tachycardia_run", "ectopy", "短阵室性心动过速", "Run of ventricular tachycardia";
    PAC, "premature_supraventricular_complex", "ectopy", "房性早搏", "Premature supraventricular complexes";
    PAC_BIGEMINY, "supraventricular_bigeminy", "ectopy", "房性早搏二联律", "Supraventricular bigeminy";
    SUPRAVENTRICULAR_RUN, "supraventricular_run", "ectopy", "短阵房性心动过速", "Run of supraventricular tachycardia";
    PAUSE, "pause", "rhythm", "长RR间期", "Long RR interval (pause)";
    AV_BLOCK_1, "av_block_1", "conduction", "一度房室传导阻滞", "First-degree AV block";
    AV_BLOCK_2, "av_block_2", "conduction", "二度房室传导阻滞", "Second-degree AV block";
    AV_BLOCK_MOBITZ_1, "av_block_2_mobitz_1", "conduction", "二度I型房室传导阻滞(文氏型)", "Second-degree AV block, Mobitz type I (Wenckebach)";
    AV_BLOCK_MOBITZ_2, "av_block_2_mobitz_2", "conduction", "二度II型房室传导阻滞", "Second-degree AV block, Mobitz type II";
    AV_BLOCK_2_1, "av_block_2_2to1", "conduction", "二度房室传导阻滞(2:1传导)", "Second-degree AV block with 2:1 conduction";
    AV_BLOCK_HIGH, "av_block_high_grade", "conduction", "高度房室传导阻滞", "High-grade AV block";
    AV_BLOCK_3, "av_block_3", "conduction", "三度房室传导阻滞", "Third-degree AV block";
    SHORT_PR, "short_pr", "conduction", "短PR间期", "Short PR interval";
    PREEXCITATION, "ventricular_preexcitation", "conduction", "心室预激图形", "Ventricular pre-excitation pattern (WPW)";
    LBBB, "lbbb", "conduction", "完全性左束支传导阻滞", "Left bundle branch block";
    RBBB, "rbbb", "conduction", "完全性右束支传导阻滞", "Right bundle branch block";
    INCOMPLETE_RBBB, "incomplete_rbbb", "conduction", "不完全性右束支传导阻滞", "Incomplete right bundle branch block";
    IVCD, "intraventricular_conduction_delay", "conduction", "室内传导阻滞", "Intraventricular conduction delay";
    LAFB, "left_anterior_fascicular_block", "conduction", "左前分支传导阻滞", "Left anterior fascicular block";
    LPFB, "left_posterior_fascicular_block", "conduction", "左后分支传导阻滞", "Left posterior fascicular block";
    LEFT_AXIS, "left_axis_deviation", "axis", "电轴左偏", "Left axis deviation";
    RIGHT_AXIS, "right_axis_deviation", "axis", "电轴右偏", "Right axis deviation";
    LOW_VOLTAGE_LIMB, "low_voltage_limb", "voltage", "肢体导联低电压", "Low voltage in the limb leads";
    LVH_VOLTAGE, "left_ventricular_high_voltage", "voltage", "左心室高电压", "High left ventricular voltage";
    LOW_VOLTAGE_CHEST, "low_voltage_chest", "voltage", "胸导联低电压", "Low voltage in the chest leads";
    LVH, "left_ventricular_hypertrophy", "hypertrophy", "左心室肥厚", "Left ventricular hypertrophy";
    RVH, "right_ventricular_hypertrophy", "hypertrophy", "右心室肥厚", "Right ventricular hypertrophy";
    LEFT_ATRIUM, "left_atrial_abnormality", "hypertrophy", "左心房异常", "Left atrial abnormality";
    RIGHT_ATRIUM, "right_atrial_abnormality", "hypertrophy", "右心房异常", "Right atrial abnormality";
    HYPERKALAEMIA, "hyperkalaemia_pattern", "metabolic", "高钾血症样心电图改变", "Pattern of hyperkalaemia";
    REVERSAL_ARMS, "limb_lead_reversal_arms", "acquisition", "左右上肢电极接反可能", "Possible exchange of the arm electrodes";
    REVERSAL_ARM_LEG, "limb_lead_reversal_arm_leg", "acquisition", "右上肢与左下肢电极接反可能", "Possible exchange of right arm and left leg electrodes";
    REVERSAL_LEGS, "limb_lead_reversal_right_leg", "acquisition", "右上肢与右下肢电极接反可能", "Possible exchange of right arm and right leg electrodes";
    DEXTROCARDIA, "dextrocardia_pattern", "acquisition", "右位心图形", "Pattern of dextrocardia";
    LONG_QT, "long_qt", "interval", "QT间期延长", "Long QT interval";
    SHORT_QT, "short_qt", "interval", "短QT间期", "Short QT interval";
    ST_UP_INFERIOR, "st_elevation_inferior", "repolarisation", "下壁导联ST段抬高", "ST elevation in the inferior leads";
    ST_UP_ANTERIOR, "st_elevation_anterior", "repolarisation", "前壁导联ST段抬高", "ST elevation in the anterior leads";
    ST_UP_LATERAL, "st_elevation_lateral", "repolarisation", "侧壁导联ST段抬高", "ST elevation in the lateral leads";
    ST_DOWN_INFERIOR, "st_depression_inferior", "repolarisation", "下壁导联ST段压低", "ST depression in the inferior leads";
    ST_DOWN_ANTERIOR, "st_depression_anterior", "repolarisation", "前壁导联ST段压低", "ST depression in the anterior leads";
    ST_DOWN_LATERAL, "st_depression_lateral", "repolarisation", "侧壁导联ST段压低", "ST depression in the lateral leads";
    T_INVERSION, "t_wave_inversion", "repolarisation", "T波倒置", "T wave inversion";
    Q_INFERIOR, "q_wave_inferior", "infarction", "下壁异常Q波", "Abnormal Q waves in the inferior leads";
    Q_ANTERIOR, "q_wave_anterior", "infarction", "前壁异常Q波", "Abnormal Q waves in the anterior leads";
    Q_LATERAL, "q_wave_lateral", "infarction", "侧壁异常Q波", "Abnormal Q waves in the lateral leads";
}
