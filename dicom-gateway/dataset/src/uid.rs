//! Identifiers as types: a text that got this far has the form PS3.5 section 9 wants.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Characters of the longest UID.
pub const UID_CHARS_MAX: usize = 64;
/// Characters of the longest AE title.
pub const AE_TITLE_CHARS_MAX: usize = 16;

/// A unique identifier: 1 to 64 characters, digits and dots, no empty component.
///
/// A component with a leading zero is against PS3.5 9.1 but common; it is accepted and
/// [`Uid::has_leading_zero`] says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(Box<str>);

impl Uid {
    /// Reads a UID; padding (spaces, NUL) around it is taken off.
    ///
    /// # Errors
    /// [`DatasetError::Identifier`] when the text is not a UID.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let text = text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
        let refuse = |reason| {
            Err(DatasetError::Identifier {
                what: "UID",
                value: shorten(text),
                reason,
            })
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > UID_CHARS_MAX {
            return refuse("it is longer than 64 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return refuse("only digits and dots are allowed");
        }
        if text.split('.').any(str::is_empty) {
            return refuse("a component is empty");
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A component starts with a superfluous zero.
    pub fn has_leading_zero(&self) -> bool {
        self.0
            .split('.')
            .any(|part| part.len() > 1 && part.starts_with('0'))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(UID_CHARS_MAX + 16).collect()
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Uid {
    type Error = DatasetError;
    fn try_from(text: String) -> Result<Self, DatasetError> {
        Self::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0.into()
    }
}

macro_rules! uid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uid);

        impl $name {
            /// Reads it; see [`Uid::parse`].
            ///
            /// # Errors
            /// [`DatasetError::Identifier`] when the text is not a UID.
            pub fn parse(text: &str) -> Result<Self, DatasetError> {
                Uid::parse(text).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The UID without its role.
            pub fn uid(&self) -> &Uid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<Uid> for $name {
            fn from(uid: Uid) -> Self {
                Self(uid)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

uid_newtype!(
    /// Study Instance UID (0020,000D).
    StudyInstanceUid
);
uid_newtype!(
    /// Series Instance UID (0020,000E).
    SeriesInstanceUid
);
uid_newtype!(
    /// SOP Instance UID (0008,0018).
    SopInstanceUid
);
uid_newtype!(
    /// SOP Class UID (0008,0016).
    SopClassUid
);
uid_newtype!(
    /// Transfer Syntax UID (0002,0010).
    TransferSyntaxUid
);

/// How the bytes of a data set are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Implicit VR, little endian.
    ImplicitLe,
    /// Explicit VR, little endian.
    ExplicitLe,
    /// Explicit VR, big endian (retired).
    ExplicitBe,
    /// Explicit VR, little endian, the whole data set deflated.
    Deflated,
    /// Explicit VR, little endian, pixel data in fragments.
    Encapsulated,
}

impl TransferSyntaxUid {
    /// How a data set in this syntax is laid out. Unknown and private syntaxes are read as
    /// explicit VR little endian with fragments, as PS3.5 A.4 asks of every compression.
    pub fn kind(&self) -> Encoding {
        match self.as_str() {
            // the second is Papyrus, the third GE's with big-endian pixel data
            "1.2.840.10008.1.2" | "1.2.840.10008.1.20" | "1.2.840.113619.5.2" => Encoding::ImplicitLe,
            "1.2.840.10008.1.2.1" => Encoding::ExplicitLe,
            "1.2.840.10008.1.2.2" => Encoding::ExplicitBe,
            // deflated, JPIP referenced deflate, JPIP HTJ2K referenced deflate
            "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => {
                Encoding::Deflated
            }
            _ => Encoding::Encapsulated,
        }
    }

    fn known(text: &str) -> Self {
        Self(Uid(text.into()))
    }

    /// Implicit VR Little Endian, which every peer must know.
    pub fn implicit_le() -> Self {
        Self::known("1.2.840.10008.1.2")
    }

    /// Explicit VR Little Endian.
    pub fn explicit_le() -> Self {
        Self::known("1.2.840.10008.1.2.1")
    }

    /// Explicit VR Big Endian.
    pub fn explicit_be() -> Self {
        Self::known("1.2.840.10008.1.2.2")
    }

    /// Deflated Explicit VR Little Endian.
    pub fn deflated() -> Self {
        Self::known("1.2.840.10008.1.2.1.99")
    }
}

/// Application entity title: 1 to 16 characters, blanks around it taken off, no backslash and no
/// control character (PS3.5 6.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(Box<str>);

impl AeTitle {
    /// Reads an AE title.
    ///
    /// # Errors
    /// [`DatasetError::Identifier`] when it is empty, too long or holds a forbidden character.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let text = text.trim_matches(|c| c == ' ' || c == '\0');
        let refuse = |reason| {
            Err(DatasetError::Identifier {
                what: "AE title",
                value: shorten(text),
                reason,
            })
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.chars().count() > AE_TITLE_CHARS_MAX {
            return refuse("it is longer than 16 characters");
        }
        if text.chars().any(|c| c == '\\' || !(' '..='~').contains(&c)) {
            return refuse("only printable ASCII without backslash is allowed");
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AeTitle {
    type Error = DatasetError;
    fn try_from(text: String) -> Result<Self, DatasetError> {
        Self::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> Self {
        title.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_checked() {
        let check = |text: &str, expect: bool| assert_eq!(Uid::parse(text).is_ok(), expect, "{text:?}");
        check("1.2.840.10008.1.1", true);
        check("1.2.3\0", true);
        check("1.2.3 ", true);
        check(&"1".repeat(64), true);
        check(&"1".repeat(65), false);
        for bad in ["", ".", "1.", ".1", "1..2", "1.2a", "../../etc", "1/2", "１.2"] {
            check(bad, false);
        }
        assert!(Uid::parse("1.02.3").is_ok_and(|uid| uid.has_leading_zero()));
        assert!(Uid::parse("1.0.3").is_ok_and(|uid| !uid.has_leading_zero()));
    }

    #[test]
    fn ae_titles_are_checked() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(
                AeTitle::parse(text).ok().as_ref().map(AeTitle::as_str),
                expect,
                "{text:?}"
            );
        };
        check("  HEXI_CT  ", Some("HEXI_CT"));
        check("A B", Some("A B"));
        check("0123456789ABCDEF", Some("0123456789ABCDEF"));
        for bad in ["", "   ", "0123456789ABCDEFG", "A\\B", "A\nB", "河西"] {
            check(bad, None);
        }
    }

    #[test]
    fn newtypes_go_through_json() {
        let uid = StudyInstanceUid::parse("1.2.3").expect("valid");
        let text = serde_json::to_string(&uid).expect("writable");
        assert_eq!(text, "\"1.2.3\"");
        assert_eq!(
            serde_json::from_str::<StudyInstanceUid>(&text).expect("readable"),
            uid
        );
        assert!(serde_json::from_str::<StudyInstanceUid>("\"../x\"").is_err());
    }
}
