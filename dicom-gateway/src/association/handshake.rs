//! From a connection to an association: who calls, whether they may, and what is agreed.

use std::sync::Arc;

use archive::device::{Device, DeviceRefused};
use dataset::{AeTitle, file};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Origin;
use super::negotiate::{AcceptedContext, answer_all, answer_extended, answer_roles};
use crate::limits::{Admitted, HalfOpen};
use crate::pdu::{
    APPLICATION_CONTEXT, AbortReason, AssociateAc, AssociateRq, Event, OperationsWindow, Rejection,
    UserIdentity, UserInformation, Wire, WireError,
};
use crate::server::Gateway;

/// PDUs as long as the peer likes are written at most this long.
const PDU_BYTES_MAX: u32 = 256 << 10;
/// A peer that asks for less than this is given as much; PS3.8 D.1 knows no lower bound.
const PDU_BYTES_MIN: u32 = 1024;

/// What the handshake leaves.
pub(super) struct Accepted<S> {
    pub(super) wire: Wire<S>,
    pub(super) calling: String,
    pub(super) device: Device,
    pub(super) contexts: Vec<AcceptedContext>,
    pub(super) peer_pdu_bytes_max: u32,
}

/// Reads and answers the request. `None`: the connection was refused and is closed.
pub(super) async fn accept<S>(
    stream: S,
    origin: &Origin,
    gateway: &Arc<Gateway>,
    half_open: HalfOpen,
) -> Option<(Accepted<S>, Admitted)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (config, address) = (&gateway.config, origin.address);
    let mut wire = Wire::new(stream, config.pdu_bytes_max, config.write_timeout);
    let deadline = Instant::now() + config.handshake_timeout;
    let event = tokio::select! {
        biased;
        () = half_open.evicted.cancelled() => None,
        () = gateway.shutdown.cancelled() => None,
        event = wire.next(deadline) => Some(event),
    };
    let body = match event {
        None => {
            wire.close_with(&[]).await;
            return None;
        }
        Some(Ok(Event::AssociateRq(body))) => body,
        Some(other) => {
            refuse_noise(wire, origin, other).await;
            return None;
        }
    };
    let Some(request) = AssociateRq::parse(&body) else {
        warn!(%address, "connection refused: an association request that cannot be read");
        wire.close_with(&AbortReason::InvalidParameter.to_bytes()).await;
        return None;
    };
    match decide(&request, origin, gateway).await {
        Ok((device, place)) => {
            drop(half_open);
            agree(wire, request, device, place, origin, gateway).await
        }
        Err(rejection) => {
            metrics::counter!("gongying_dicom_associations_refused_total", "reason" => rejection.words())
                .increment(1);
            drop(half_open);
            wire.close_with(&rejection.to_bytes()).await;
            None
        }
    }
}

async fn refuse_noise<S>(wire: Wire<S>, origin: &Origin, event: Result<Event, WireError>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let address = origin.address;
    let (words, last_word): (String, &[u8]) = match event {
        Ok(Event::Closed) => return,
        Ok(_) => (
            "it does not begin with an association request".into(),
            &AbortReason::UnexpectedPdu.to_bytes(),
        ),
        Err(WireError::Protocol(reason, words)) => (words.into(), &reason.to_bytes()),
        Err(WireError::Deadline) => ("no association request in time".into(), &[]),
        Err(error) => (error.to_string(), &[]),
    };
    info!(%address, "connection refused: {words}");
    metrics::counter!("gongying_dicom_associations_refused_total", "reason" => "no request").increment(1);
    wire.close_with(last_word).await;
}

/// Everything that can refuse the association as a whole.
async fn decide(
    request: &AssociateRq,
    origin: &Origin,
    gateway: &Arc<Gateway>,
) -> Result<(Device, Admitted), Rejection> {
    let (config, address) = (&gateway.config, origin.address);
    if request.protocol_version & 1 == 0 {
        return Err(Rejection::PROTOCOL_VERSION);
    }
    if request.application_context != APPLICATION_CONTEXT {
        return Err(Rejection::APPLICATION_CONTEXT);
    }
    if config.check_called_ae && request.called != config.ae_title.as_str() {
        let ours = &config.ae_title;
        warn!(%address, called = ?request.called, "association refused: it calls another AE title; set the device's called AE title to {ours}");
        return Err(Rejection::CALLED_AE);
    }
    let Ok(calling) = AeTitle::parse(&request.calling) else {
        warn!(%address, calling = ?request.calling, "association refused: the calling AE title is empty or has forbidden characters; correct it at the device");
        return Err(Rejection::CALLING_AE);
    };
    let authorised = gateway
        .archive
        .devices()
        .authorise_presenting(calling.as_str(), address.ip(), origin.certificate.as_deref())
        .await;
    let device = match authorised {
        Ok(device) => device,
        Err(refused) => {
            if let (Some(reason), Ok(known)) = (
                reason_of(refused),
                gateway.archive.devices().by_ae_title(calling.as_str()).await,
            ) {
                gateway.archive.note_rejected(known.id, reason);
            }
            return Err(refuse_device(&calling, request, origin, gateway, refused));
        }
    };
    let place = gateway
        .counts
        .admit(config, address.ip(), device.id.0)
        .map_err(|full| {
            warn!(%address, %calling, "association refused: {full}");
            gateway.archive.note_rejected(device.id, "too_many_associations");
            Rejection::LOCAL_LIMIT
        })?;
    if let Some(identity) = &request.user.user_identity
        && !verify(identity, origin, gateway).await
    {
        warn!(%address, %calling, "association refused: the user identity is not right");
        gateway.archive.note_rejected(device.id, "wrong_user_identity");
        return Err(Rejection::NO_REASON);
    }
    Ok((device, place))
}

/// What the counts of an enrolled device call it; none when no device is meant.
fn reason_of(refused: DeviceRefused) -> Option<&'static str> {
    match refused {
        DeviceRefused::WrongAddress => Some("wrong_address"),
        DeviceRefused::WrongCertificate => Some("wrong_certificate"),
        DeviceRefused::Unknown
        | DeviceRefused::Expired
        | DeviceRefused::Revoked
        | DeviceRefused::Unavailable => None,
    }
}

/// Says how to let the device in, in the log and in the list of refused callers.
fn refuse_device(
    calling: &AeTitle,
    request: &AssociateRq,
    origin: &Origin,
    gateway: &Gateway,
    refused: DeviceRefused,
) -> Rejection {
    let (address, ip) = (origin.address, origin.address.ip().to_canonical());
    if refused == DeviceRefused::Unavailable {
        warn!(%address, %calling, "association refused: {refused}");
        return Rejection::CONGESTION;
    }
    let mut create = format!(
        "gongying admin device create --name NAME --aet {} --institution CODE --from {ip}",
        shell_word(calling.as_str())
    );
    if let Some(certificate) = &origin.certificate {
        create.push_str(" --certificate-sha256 ");
        create.push_str(certificate);
    }
    let words = match refused {
        DeviceRefused::Unknown => "no device with this AE title is enrolled".to_owned(),
        other => other.to_string(),
    };
    warn!(%address, %calling, "association refused: {words}; if it is one of yours, run: {create}");
    gateway.archive.devices().note_refused(
        calling.as_str(),
        &request.called,
        ip,
        origin.certificate.as_deref(),
        &words,
    );
    Rejection::CALLING_AE
}

/// Quoted for a shell when it needs to be.
fn shell_word(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A name alone claims nothing and is taken; a passcode must be right. Tickets and assertions of
/// other kinds cannot be checked and count as wrong.
async fn verify(identity: &UserIdentity, origin: &Origin, gateway: &Arc<Gateway>) -> bool {
    match (identity.kind, &gateway.config.users) {
        (1, _) => true,
        (2, Some(users)) => {
            let (Ok(name), Ok(passcode)) = (
                std::str::from_utf8(&identity.primary),
                std::str::from_utf8(&identity.secondary),
            ) else {
                return false;
            };
            let verify = users.verify(name, passcode, origin.address.ip());
            tokio::time::timeout(gateway.config.handshake_timeout, verify)
                .await
                .unwrap_or(false)
        }
        _ => false,
    }
}

async fn agree<S>(
    mut wire: Wire<S>,
    request: AssociateRq,
    device: Device,
    place: Admitted,
    origin: &Origin,
    gateway: &Arc<Gateway>,
) -> Option<(Accepted<S>, Admitted)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (answers, contexts) = answer_all(&request);
    let (roles, extended) = (answer_roles(&request), answer_extended(&request, &contexts));
    // one operation after the other; to say so is only allowed when it was asked
    let operations_window = request.user.operations_window.map(|_| OperationsWindow {
        invoked_max: 1,
        performed_max: 1,
    });
    let wants_identity = request
        .user
        .user_identity
        .as_ref()
        .is_some_and(|identity| identity.wants_answer);
    let answer = AssociateAc {
        called: request.called,
        calling: request.calling.clone(),
        contexts: answers,
        user: UserInformation {
            pdu_bytes_max: gateway.config.pdu_bytes_max,
            implementation_class: file::IMPLEMENTATION_CLASS_UID.into(),
            implementation_version: file::IMPLEMENTATION_VERSION_NAME.into(),
            identity_accepted: wants_identity,
            roles,
            extended,
            operations_window,
            ..UserInformation::default()
        },
    };
    if let Err(error) = wire.write(&answer.to_bytes()).await {
        info!(address = %origin.address, "connection lost while an association was accepted: {error}");
        return None;
    }
    metrics::counter!("gongying_dicom_associations_accepted_total").increment(1);
    let peer_pdu_bytes_max = match request.user.pdu_bytes_max {
        0 => PDU_BYTES_MAX,
        other => other.clamp(PDU_BYTES_MIN, PDU_BYTES_MAX),
    };
    Some((
        Accepted {
            wire,
            calling: request.calling,
            device,
            contexts,
            peer_pdu_bytes_max,
        },
        place,
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_quoted_for_a_shell() {
        let check = |text: &str, expect: &str| assert_eq!(super::shell_word(text), expect);
        check("HEXI_CT", "HEXI_CT");
        check("A B", "'A B'");
        check("' OR '1'='1", "''\\'' OR '\\''1'\\''='\\''1'");
    }
}
