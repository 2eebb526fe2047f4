//! A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3, PS3.7 Annex D): bytes to types and back.

use super::APPLICATION_CONTEXT;

/// Presentation contexts of one association: odd numbers from 1 to 255.
const CONTEXTS_MAX: usize = 128;
/// Transfer syntaxes looked at in one context.
const SYNTAXES_MAX: usize = 128;
/// Fixed part of a request or answer before its items.
const FIXED_BYTES: usize = 68;
/// Role selections and other sub-items looked at.
const SUB_ITEMS_MAX: usize = 512;

/// A proposed presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextProposal {
    pub(crate) id: u8,
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntaxes: Vec<String>,
}

/// An answered presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextAnswer {
    pub(crate) id: u8,
    /// 0 accepted, 1 user rejection, 3 abstract syntax, 4 transfer syntaxes not supported.
    pub(crate) result: u8,
    pub(crate) transfer_syntax: String,
}

/// SCU and SCP roles for a SOP class (PS3.7 D.3.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleSelection {
    pub(crate) sop_class: String,
    pub(crate) scu: bool,
    pub(crate) scp: bool,
}

/// What a SOP class wants said about itself (PS3.7 D.3.3.5); the service defines the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtendedNegotiation {
    pub(crate) sop_class: String,
    pub(crate) information: Vec<u8>,
}

/// How many operations may be under way at once (PS3.7 D.3.3.3); 0 is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OperationsWindow {
    pub(crate) invoked_max: u16,
    pub(crate) performed_max: u16,
}

/// User identity (PS3.7 D.3.3.7).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserIdentity {
    /// 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT.
    pub(crate) kind: u8,
    pub(crate) wants_answer: bool,
    pub(crate) primary: Vec<u8>,
    pub(crate) secondary: Vec<u8>,
}

impl std::fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserIdentity(kind {})", self.kind)
    }
}

/// The user information item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UserInformation {
    /// Longest PDU the sender of this takes, as its length field; 0: any.
    pub(crate) pdu_bytes_max: u32,
    pub(crate) implementation_class: String,
    pub(crate) implementation_version: String,
    pub(crate) roles: Vec<RoleSelection>,
    pub(crate) extended: Vec<ExtendedNegotiation>,
    /// Absent: one at a time.
    pub(crate) operations_window: Option<OperationsWindow>,
    pub(crate) user_identity: Option<UserIdentity>,
    /// Answer to a user identity (only in an acceptance).
    pub(crate) identity_accepted: bool,
}

/// A request for an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateRq {
    pub(crate) protocol_version: u16,
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) application_context: String,
    pub(crate) contexts: Vec<ContextProposal>,
    pub(crate) user: UserInformation,
}

/// An accepted association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateAc {
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) contexts: Vec<ContextAnswer>,
    pub(crate) user: UserInformation,
}

/// Items of the form type, reserved, 16-bit length.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Option<(u8, &'a [u8])>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self
            .0
            .split_first_chunk::<4>()
            .and_then(|(&[kind, _, high, low], rest)| {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let (body, after) = rest.split_at_checked(length)?;
                self.0 = after;
                Some((kind, body))
            });
        if item.is_none() {
            self.0 = &[];
        }
        Some(item)
    }
}

fn ascii(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .map(|&b| {
            if (0x20..0x7f).contains(&b) {
                char::from(b)
            } else {
                ' '
            }
        })
        .collect();
    text.trim().to_owned()
}

fn title(bytes: Option<&[u8]>) -> String {
    // other bytes than printable ASCII become a sign no AE title may hold, so they match nothing
    let lossy = |&b: &u8| {
        if (0x20..0x7f).contains(&b) || b == 0 {
            char::from(b)
        } else {
            '\\'
        }
    };
    bytes
        .unwrap_or_default()
        .iter()
        .map(lossy)
        .collect::<String>()
        .trim_matches([' ', '\0'])
        .to_owned()
}

impl AssociateRq {
    /// Reads the body of the PDU; `None` when it has not the form of one.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let (fixed, items) = body.split_at_checked(FIXED_BYTES)?;
        let mut request = Self {
            protocol_version: u16::from_be_bytes(*fixed.first_chunk()?),
            called: title(fixed.get(4..20)),
            calling: title(fixed.get(20..36)),
            application_context: String::new(),
            contexts: Vec::new(),
            user: UserInformation::default(),
        };
        for item in Items(items) {
            match item? {
                (0x10, name) => request.application_context = ascii(name),
                (0x20, context) if request.contexts.len() < CONTEXTS_MAX => {
                    let context = proposal(context)?;
                    if context.id % 2 == 0 || request.contexts.iter().any(|known| known.id == context.id) {
                        return None;
                    }
                    request.contexts.push(context);
                }
                (0x50, user) => request.user = UserInformation::parse(user)?,
                _ => {}
            }
        }
        Some(request)
    }

    /// Writes the whole PDU.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut items = Vec::new();
        for context in &self.contexts {
            let mut body = vec![context.id, 0, 0, 0];
            push_item(&mut body, 0x30, context.abstract_syntax.as_bytes());
            for syntax in &context.transfer_syntaxes {
                push_item(&mut body, 0x40, syntax.as_bytes());
            }
            push_item(&mut items, 0x20, &body);
        }
        pdu(1, &self.called, &self.calling, &items, &self.user)
    }
}

fn proposal(bytes: &[u8]) -> Option<ContextProposal> {
    let (&[id, _, _, _], items) = bytes.split_first_chunk::<4>()?;
    let mut context = ContextProposal {
        id,
        abstract_syntax: String::new(),
        transfer_syntaxes: Vec::new(),
    };
    for item in Items(items) {
        match item? {
            (0x30, name) => context.abstract_syntax = ascii(name),
            (0x40, name) if context.transfer_syntaxes.len() < SYNTAXES_MAX => {
                context.transfer_syntaxes.push(ascii(name));
            }
            _ => {}
        }
    }
    Some(context)
}

impl AssociateAc {
    /// Reads the body of the PDU; `None` when it has not the form of one.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let (fixed, items) = body.split_at_checked(FIXED_BYTES)?;
        let mut answer = Self {
            called: title(fixed.get(4..20)),
            calling: title(fixed.get(20..36)),
            contexts: Vec::new(),
            user: UserInformation::default(),
        };
        for item in Items(items) {
            match item? {
                (0x21, context) if answer.contexts.len() < CONTEXTS_MAX => {
                    let (&[id, _, result, _], syntax) = context.split_first_chunk::<4>()?;
                    let transfer_syntax = match Items(syntax).next() {
                        Some(Some((0x40, name))) => ascii(name),
                        _ => String::new(),
                    };
                    answer.contexts.push(ContextAnswer {
                        id,
                        result,
                        transfer_syntax,
                    });
                }
                (0x50, user) => answer.user = UserInformation::parse(user)?,
                _ => {}
            }
        }
        Some(answer)
    }

    /// Writes the whole PDU.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut items = Vec::new();
        for context in &self.contexts {
            let mut body = vec![context.id, 0, context.result, 0];
            push_item(&mut body, 0x40, context.transfer_syntax.as_bytes());
            push_item(&mut items, 0x21, &body);
        }
        pdu(2, &self.called, &self.calling, &items, &self.user)
    }
}

impl UserInformation {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut user = Self::default();
        for item in Items(bytes).take(SUB_ITEMS_MAX) {
            match item? {
                (0x51, value) => user.pdu_bytes_max = u32::from_be_bytes(value.try_into().ok()?),
                (0x52, value) => user.implementation_class = ascii(value),
                (0x55, value) => user.implementation_version = ascii(value),
                (0x54, value) => {
                    let (length, rest) = value.split_first_chunk::<2>()?;
                    let (name, roles) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                    let &[scu, scp] = roles.first_chunk::<2>()?;
                    user.roles.push(RoleSelection {
                        sop_class: ascii(name),
                        scu: scu == 1,
                        scp: scp == 1,
                    });
                }
                (0x53, value) => {
                    let &[a, b, c, d] = value.first_chunk::<4>()?;
                    user.operations_window = Some(OperationsWindow {
                        invoked_max: u16::from_be_bytes([a, b]),
                        performed_max: u16::from_be_bytes([c, d]),
                    });
                }
                (0x56, value) => {
                    let (length, rest) = value.split_first_chunk::<2>()?;
                    let (name, information) =
                        rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                    user.extended.push(ExtendedNegotiation {
                        sop_class: ascii(name),
                        information: information.to_vec(),
                    });
                }
                (0x58, value) => {
                    let (&[kind, wants, high, low], rest) = value.split_first_chunk::<4>()?;
                    let (primary, rest) =
                        rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
                    let (length, rest) = rest.split_first_chunk::<2>()?;
                    let secondary = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
                    user.user_identity = Some(UserIdentity {
                        kind,
                        wants_answer: wants == 1,
                        primary: primary.to_vec(),
                        secondary: secondary.to_vec(),
                    });
                }
                (0x59, _) => user.identity_accepted = true,
                _ => {}
            }
        }
        Some(user)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_item(&mut out, 0x51, &self.pdu_bytes_max.to_be_bytes());
        push_item(&mut out, 0x52, self.implementation_class.as_bytes());
        if let Some(window) = self.operations_window {
            let [a, b] = window.invoked_max.to_be_bytes();
            let [c, d] = window.performed_max.to_be_bytes();
            push_item(&mut out, 0x53, &[a, b, c, d]);
        }
        for role in &self.roles {
            let mut body = length16(role.sop_class.len()).to_vec();
            body.extend_from_slice(role.sop_class.as_bytes());
            body.extend_from_slice(&[u8::from(role.scu), u8::from(role.scp)]);
            push_item(&mut out, 0x54, &body);
        }
        push_item(&mut out, 0x55, self.implementation_version.as_bytes());
        for negotiation in &self.extended {
            let mut body = length16(negotiation.sop_class.len()).to_vec();
            body.extend_from_slice(negotiation.sop_class.as_bytes());
            body.extend_from_slice(&negotiation.information);
            push_item(&mut out, 0x56, &body);
        }
        if let Some(identity) = &self.user_identity {
            let mut body = vec![identity.kind, u8::from(identity.wants_answer)];
            body.extend_from_slice(&length16(identity.primary.len()));
            body.extend_from_slice(&identity.primary);
            body.extend_from_slice(&length16(identity.secondary.len()));
            body.extend_from_slice(&identity.secondary);
            push_item(&mut out, 0x58, &body);
        }
        if self.identity_accepted {
            push_item(&mut out, 0x59, &[0, 0]);
        }
        out
    }
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn push_item(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let body = body.get(..usize::from(u16::MAX)).unwrap_or(body);
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&length16(body.len()));
    out.extend_from_slice(body);
}

fn pdu(kind: u8, called: &str, calling: &str, items: &[u8], user: &UserInformation) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    for title in [called, calling] {
        let mut padded = [b' '; 16];
        for (place, byte) in padded.iter_mut().zip(title.bytes()) {
            *place = byte;
        }
        body.extend_from_slice(&padded);
    }
    body.extend_from_slice(&[0; 32]);
    push_item(&mut body, 0x10, APPLICATION_CONTEXT.as_bytes());
    body.extend_from_slice(items);
    push_item(&mut body, 0x50, &user.to_bytes());
    let mut out = vec![kind, 0];
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> AssociateRq {
        AssociateRq {
            protocol_version: 1,
            called: "GONGYING".into(),
            calling: "HEXI_CT".into(),
            application_context: APPLICATION_CONTEXT.into(),
            contexts: vec![ContextProposal {
                id: 1,
                abstract_syntax: "1.2.840.10008.1.1".into(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2".into(), "1.2.840.10008.1.2.1".into()],
            }],
            user: UserInformation {
                pdu_bytes_max: 65536,
                implementation_class: "1.2.3".into(),
                implementation_version: "V".into(),
                roles: vec![RoleSelection {
                    sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
                    scu: false,
                    scp: true,
                }],
                extended: vec![ExtendedNegotiation {
                    sop_class: "1.2.840.10008.5.1.4.1.2.2.1".into(),
                    information: vec![1, 0, 1],
                }],
                operations_window: Some(OperationsWindow {
                    invoked_max: 8,
                    performed_max: 0,
                }),
                user_identity: Some(UserIdentity {
                    kind: 2,
                    wants_answer: true,
                    primary: b"name".to_vec(),
                    secondary: b"word".to_vec(),
                }),
                identity_accepted: false,
            },
        }
    }

    #[test]
    fn a_request_goes_both_ways() {
        let bytes = request().to_bytes();
        assert_eq!(AssociateRq::parse(&bytes[6..]), Some(request()));
    }

    #[test]
    fn an_answer_goes_both_ways() {
        let answer = AssociateAc {
            called: "A".into(),
            calling: "B".into(),
            contexts: vec![ContextAnswer {
                id: 3,
                result: 0,
                transfer_syntax: "1.2.840.10008.1.2".into(),
            }],
            user: UserInformation {
                pdu_bytes_max: 1,
                identity_accepted: true,
                ..UserInformation::default()
            },
        };
        assert_eq!(AssociateAc::parse(&answer.to_bytes()[6..]), Some(answer));
    }

    #[test]
    fn forbidden_contexts_are_refused() {
        for ids in [[1, 1], [2, 1]] {
            let mut request = request();
            let mut second = request.contexts[0].clone();
            request.contexts[0].id = ids[0];
            second.id = ids[1];
            request.contexts.push(second);
            assert_eq!(AssociateRq::parse(&request.to_bytes()[6..]), None, "{ids:?}");
        }
    }

    #[test]
    fn odd_titles_match_nothing() {
        let mut bytes = request().to_bytes();
        bytes[26..29].copy_from_slice(&[0xd6, 0xd0, 1]);
        let calling = AssociateRq::parse(&bytes[6..]).expect("form is right").calling;
        assert!(dataset::AeTitle::parse(&calling).is_err(), "{calling}");
    }

    proptest! {
        #[test]
        fn damaged_requests_never_panic(at in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>()) {
            let mut bytes = request().to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes.truncate(6 + cut.index(bytes.len() - 6));
            let _ = AssociateRq::parse(&bytes[6..]);
            let _ = AssociateAc::parse(&bytes[6..]);
        }
    }
}
