//! C-GET (PS3.4 C.4.3) as a user: objects come back over the association that asked, and go
//! through the archive's receive path like those of any device.

use std::time::Duration;

use archive::Archive;
use archive::receive::{ReceiveContext, Sender};
use bytes::{Bytes, BytesMut};
use dataset::{DataSet, SopClassUid, SopInstanceUid, TransferSyntaxUid, tags, uids};

use super::client::CONTEXTS_MAX;
use super::find::encoded;
use super::retrieve::{Progress, RetrieveSummary, ended};
use super::{Client, Destination, Proposal, QueryModel};
use crate::GatewayError;
use crate::dimse::{self, Command, field, status};

/// Reasons of refused objects that are kept for the summary.
const REASONS_MAX: usize = 20;
/// Small pieces are gathered up to this.
const GATHERED_BYTES: usize = 64 << 10;
/// Transfer syntaxes in which objects may come, a context for each.
const COMPRESSED: &[&str] = &[
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG_BASELINE8_BIT,
    uids::RLE_LOSSLESS,
    uids::JPEG2000,
];
/// SOP classes asked for when the other side did not say which ones it holds.
const USUAL_CLASSES: &[&str] = &[
    uids::CT_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::ENHANCED_MR_IMAGE_STORAGE,
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
    uids::TWELVE_LEAD_ECG_WAVEFORM_STORAGE,
    uids::GENERAL_ECG_WAVEFORM_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
    uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    uids::BASIC_TEXT_SR_STORAGE,
];

/// Who asks, and as whose the objects are kept.
pub struct Receiver<'a> {
    /// Where they go.
    pub archive: &'a Archive,
    /// Their sender, for index and audit.
    pub sender: Sender,
    /// SOP classes that may come; the usual ones when empty.
    pub sop_classes: Vec<String>,
}

/// Fetches what `keys` name and keeps it in the archive. `timeout` bounds each single wait,
/// `patience` the one for the next object.
///
/// # Errors
/// When the other side cannot be reached, refuses, breaks off, or answers with a failure status.
/// Objects that the archive refuses are part of the summary.
pub async fn get(
    to: &Destination,
    model: QueryModel,
    keys: &DataSet,
    receiver: &Receiver<'_>,
    (timeout, patience): (Duration, Duration),
    mut on_progress: impl FnMut(Progress),
) -> Result<RetrieveSummary, GatewayError> {
    let class = model.get_class().unwrap_or_default();
    let mut client = Client::propose(to, &proposals(class, &receiver.sop_classes), timeout).await?;
    let agreed = client.agreed(class)?;
    let message_id = client.next_message_id();
    let request = dimse::request(field::C_GET_RQ, message_id, class, None, true);
    let data = encoded(&client, &agreed, keys)?;
    client.request(agreed.id, &request, Some(&data)).await?;
    let mut summary = RetrieveSummary::default();
    loop {
        let (context, command) = client.command(patience).await?;
        if command.field == field::C_STORE_RQ {
            take(&mut client, context, &command, receiver, &mut summary).await?;
            continue;
        }
        if command.responded_id != message_id || command.field != field::C_GET_RQ | field::RESPONSE {
            return Err(client.broken("an answer to nothing that was asked"));
        }
        if command.has_data_set {
            skip(&mut client, context).await?;
        }
        if command.status == status::PENDING {
            on_progress(Progress::of(&command));
            continue;
        }
        summary.counts = ended(&client, &command)?;
        client.release().await;
        return Ok(summary);
    }
}

/// The context of the request itself, and for each class one for uncompressed objects; then, as far
/// as there is room, one for each compression, so that objects come as they are stored there.
fn proposals(class: &str, sop_classes: &[String]) -> Vec<Proposal> {
    let usual = || USUAL_CLASSES.iter().map(|class| (*class).to_owned()).collect();
    let classes: Vec<String> = if sop_classes.is_empty() {
        usual()
    } else {
        sop_classes.to_vec()
    };
    let role = |class: &String, proposal: Proposal| Proposal {
        abstract_syntax: class.clone(),
        peer_is_scu: true,
        ..proposal
    };
    let plain = classes.iter().map(|class| role(class, Proposal::service(class)));
    let compressed = COMPRESSED.iter().flat_map(|syntax| {
        classes.iter().map(move |class| {
            let transfer_syntaxes = vec![(*syntax).to_owned()];
            role(
                class,
                Proposal {
                    transfer_syntaxes,
                    ..Proposal::service(class)
                },
            )
        })
    });
    std::iter::once(Proposal::service(class))
        .chain(plain)
        .chain(compressed)
        .take(CONTEXTS_MAX)
        .collect()
}

async fn skip(client: &mut Client, context: u8) -> Result<(), GatewayError> {
    while !client.data_piece(context).await?.last {}
    Ok(())
}

/// One C-STORE of the other side. What the archive refuses is answered with its status.
async fn take(
    client: &mut Client,
    context: u8,
    command: &Command,
    receiver: &Receiver<'_>,
    summary: &mut RetrieveSummary,
) -> Result<(), GatewayError> {
    let syntax = client.by_id(context)?.transfer_syntax.clone();
    let kept = match announced(command, receiver, syntax) {
        Ok(announced) => receive(client, context, receiver.archive, announced).await?,
        Err(words) => {
            if command.has_data_set {
                skip(client, context).await?;
            }
            Err((status::CANNOT_UNDERSTAND, words))
        }
    };
    match kept {
        Ok(()) => {
            summary.stored += 1;
            client.respond(context, command, status::SUCCESS, None).await
        }
        Err((code, words)) => {
            if summary.refused.len() < REASONS_MAX {
                summary.refused.push(format!("{}: {words}", command.sop_instance));
            }
            client.respond(context, command, code, Some(&words)).await
        }
    }
}

fn announced(
    command: &Command,
    receiver: &Receiver<'_>,
    transfer_syntax: TransferSyntaxUid,
) -> Result<ReceiveContext, String> {
    if !command.has_data_set {
        return Err("the request has no data set".into());
    }
    Ok(ReceiveContext {
        sender: receiver.sender.clone(),
        sop_class: SopClassUid::parse(&command.sop_class).map_err(|error| error.to_string())?,
        sop_instance_uid: SopInstanceUid::parse(&command.sop_instance).map_err(|error| error.to_string())?,
        transfer_syntax,
    })
}

/// The data set from the association to the archive. The outer error ends the association and
/// leaves nothing of the object.
async fn receive(
    client: &mut Client,
    context: u8,
    archive: &Archive,
    announced: ReceiveContext,
) -> Result<Result<(), (u16, String)>, GatewayError> {
    let (mut incoming, mut refused) = match archive.begin_receive(announced).await {
        Ok(incoming) => (Some(incoming), None),
        Err(error) => (None, Some((error.status, error.reason))),
    };
    let mut gathered = BytesMut::new();
    loop {
        let piece = client.data_piece(context).await?;
        gathered.extend_from_slice(&piece.bytes);
        if let Some(sink) = &mut incoming
            && (piece.last || gathered.len() >= GATHERED_BYTES)
        {
            let bytes: Bytes = gathered.split().freeze();
            if let Err(error) = sink.write(bytes).await {
                // the rest of the object must still be read before it can be answered
                incoming = None;
                refused = Some((error.status, error.reason));
            }
        } else if incoming.is_none() {
            gathered.clear();
        }
        if piece.last {
            break;
        }
    }
    let kept = match (incoming, refused) {
        (Some(incoming), None) => match incoming.finish().await {
            Ok(_) => Ok(()),
            Err(error) => Err((error.status, error.reason)),
        },
        (_, Some(refused)) => Err(refused),
        (None, None) => Err((
            status::OUT_OF_RESOURCES,
            "the object could not be taken".to_owned(),
        )),
    };
    Ok(kept)
}

/// SOP classes that a study-level answer names (0008,0062).
pub fn classes_in(answer: &DataSet) -> Vec<String> {
    let named = answer.texts(tags::SOP_CLASSES_IN_STUDY);
    named
        .into_iter()
        .filter(|uid| SopClassUid::parse(uid).is_ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_association_is_never_proposed_too_many_contexts() {
        let class = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET;
        for count in [0, 1, 20, 500] {
            let classes: Vec<String> = (1..=count).map(|n| format!("1.2.3.{n}")).collect();
            let all = proposals(class, &classes);
            assert!(all.len() <= CONTEXTS_MAX, "{count}");
            assert_eq!(all[0], Proposal::service(class));
            assert!(all[1..].iter().all(|proposal| proposal.peer_is_scu));
            let expect = if count == 0 { USUAL_CLASSES.len() } else { count };
            let plain = all
                .iter()
                .filter(|p| p.peer_is_scu && p.transfer_syntaxes.len() == 2);
            assert_eq!(plain.count(), expect.min(CONTEXTS_MAX - 1), "{count}");
        }
    }
}
