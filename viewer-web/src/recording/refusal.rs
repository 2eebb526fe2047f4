//! Why a file is not taken, in words for the technician who holds it.

use engine::ecg::EcgError;
use serde_json::{Value, json};

/// Kind of refusal; the word is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No format that is known.
    UnknownFormat,
    /// An array without rate and lead names.
    Array,
    /// A document that nobody was named for.
    NobodysDocument,
    /// Neither name nor number in the file.
    Nobody,
    /// The file names another person than the request.
    OtherPerson,
    /// A DICOM object without an ECG.
    NoEcg,
    /// Cut or inconsistent.
    Damaged,
    /// A header whose signals are missing.
    MissingFile,
    /// Outside of what DICOM ECG objects hold.
    CannotHold,
    /// A file that belongs to a header which is not there.
    NoHeader,
    /// Another object has the UID of this one.
    Conflict,
    /// The archive refused the object.
    NotStored,
}

impl Reason {
    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownFormat => "unknown_format",
            Self::Array => "array",
            Self::NobodysDocument => "document_without_order",
            Self::Nobody => "no_patient",
            Self::OtherPerson => "patient_mismatch",
            Self::NoEcg => "no_ecg",
            Self::Damaged => "damaged",
            Self::MissingFile => "missing_file",
            Self::CannotHold => "cannot_hold",
            Self::NoHeader => "no_header",
            Self::Conflict => "uid_conflict",
            Self::NotStored => "not_stored",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownFormat => (
                "不是可识别的心电文件。支持 DICOM、SCP-ECG、HL7 aECG、MUSE XML、飞利浦 Sierra XML、EDF/BDF、MFER、ISHNE、WFDB 和 PDF；请在心电图机上选择其中一种重新导出。",
                "Not an ECG file known here. DICOM, SCP-ECG, HL7 aECG, MUSE XML, Philips Sierra XML, EDF/BDF, MFER, ISHNE, WFDB and PDF are taken; export one of them.",
            ),
            Self::Array => (
                "数组文件不含采样率和导联名，无法归档；请导出为 DICOM、SCP-ECG 或 EDF。",
                "An array has neither rate nor lead names and cannot be filed; export DICOM, SCP-ECG or EDF.",
            ),
            Self::NobodysDocument => (
                "这是报告文档，其中的患者不能自动识别；请选择对应的检查申请后上传，或把文件名改为检查号后再放入文件夹。",
                "A report document: nothing in it says whose it is. Choose its exam request, or name the file by the accession number.",
            ),
            Self::Nobody => (
                "文件中没有患者姓名和编号，无法归档；请选择对应的检查申请，或在心电图机上录入患者信息后重新导出。",
                "The file holds neither a patient's name nor a number, so it cannot be filed: choose its exam request, or enter them at the cart and export again.",
            ),
            Self::OtherPerson => (
                "文件中的患者与申请不一致，请核对是否选错。",
                "The file names another person than the request; check that it is the right one.",
            ),
            Self::NoEcg => (
                "这个 DICOM 文件不含心电波形；图像请由设备直接发送。",
                "This DICOM file holds no ECG; pictures are sent by their device.",
            ),
            Self::Damaged => (
                "文件不完整或已损坏，请重新导出。",
                "The file is cut or damaged; export it again.",
            ),
            Self::MissingFile => (
                "头文件指向的信号文件没有一起选中，请把 .hea 与 .dat 同时上传。",
                "The signal file that the header names is missing; choose .hea and .dat together.",
            ),
            Self::CannotHold => (
                "采样率或导联数超出 DICOM 心电对象的范围（50–1000 Hz）。",
                "Its rate or number of leads is outside of what DICOM ECG objects hold (50 to 1000 Hz).",
            ),
            Self::NoHeader => (
                "这是信号文件，请与同名的 .hea 一起上传。",
                "A signal file; upload it together with the .hea of the same name.",
            ),
            Self::Conflict => (
                "已有另一份记录使用相同的对象编号，此文件已隔离；请在心电图机上重新导出，或联系管理员。",
                "Another recording has the same object UID; this file is in quarantine. Export it again, or ask the administrator.",
            ),
            Self::NotStored => ("没有保存，请重试。", "It was not stored; try again."),
        }
    }
}

/// A refusal with what is particular to this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{zh}\n{en}")]
pub struct Refusal {
    reason: Reason,
    zh: String,
    en: String,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        let (zh, en) = reason.words();
        Self {
            reason,
            zh: zh.to_owned(),
            en: en.to_owned(),
        }
    }
}

impl From<EcgError> for Refusal {
    fn from(error: EcgError) -> Self {
        let reason = match &error {
            EcgError::MissingFile { .. } => Reason::MissingFile,
            EcgError::CannotHold { .. } => Reason::CannotHold,
            EcgError::UnknownFormat { .. } => Reason::UnknownFormat,
            EcgError::NoSamplingRate { .. } => Reason::Array,
            _ => Reason::Damaged,
        };
        Self::from(reason).saying(&error)
    }
}

impl Refusal {
    /// Damage that the tokenizer names.
    pub(super) fn damaged(error: &dyn std::fmt::Display) -> Self {
        Self::from(Reason::Damaged).saying(error)
    }

    /// Adds what exactly was found.
    pub(super) fn saying(mut self, what: &dyn std::fmt::Display) -> Self {
        self.en = format!("{} ({what})", self.en);
        self.zh = format!("{}（{what}）", self.zh);
        self
    }

    /// Adds both sides of a comparison in plain words.
    pub(super) fn comparing(mut self, zh: &str, en: &str) -> Self {
        self.zh = format!("{}{zh}", self.zh);
        self.en = format!("{} {en}", self.en);
        self
    }

    /// Its kind.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// As answers carry it.
    pub(super) fn to_value(&self) -> Value {
        json!({"code": self.reason.as_str(), "text_zh": self.zh, "text_en": self.en})
    }
}
