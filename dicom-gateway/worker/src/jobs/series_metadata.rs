//! The attributes of a whole series as one compressed document, so that a viewer opens it with one read.

use super::{Context, JobKind};
use crate::error::Result;
use archive::study::PackedAttributes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Version of the method.
pub(crate) const VERSION: i64 = 1;
const MEDIA_TYPE: &str = "application/dicom+json";
/// Memory for each object's attributes, as text and compressed.
const OBJECT_BYTES: u64 = 24 << 10;

/// Collects the attributes of a series, by instance number, as the gzip of a DICOM JSON array.
pub(super) async fn perform(context: &Context, series_uid: &str) -> Result<()> {
    let studies = context.archive.studies();
    let Some((_, study)) = studies.series_by_uid(series_uid).await? else {
        return Ok(());
    };
    let attributes = studies.attributes_of_series(&study.study_uid, series_uid).await?;
    let memory_bytes = attributes.len() as u64 * OBJECT_BYTES;
    let packed = context
        .compute
        .run(memory_bytes, move || pack(&attributes))
        .await?;
    let kind = JobKind::SeriesMetadata.as_str();
    context
        .archive
        .derived()
        .put(series_uid, kind, VERSION, MEDIA_TYPE, packed)
        .await?;
    Ok(())
}

fn pack(attributes: &[PackedAttributes]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let written = write_array(&mut gzip, attributes)?;
    written
        .and_then(|()| gzip.finish())
        .map_err(|e| serde_json::Error::io(e).into())
}

/// Texts are joined as they are: parsing 200 objects to print them again would be waste.
fn write_array(
    out: &mut impl std::io::Write,
    attributes: &[PackedAttributes],
) -> Result<std::io::Result<()>> {
    let mut written = out.write_all(b"[");
    for (index, object) in attributes.iter().enumerate() {
        let text = object.text()?;
        let comma: &[u8] = if index == 0 { b"" } else { b"," };
        written = written
            .and_then(|()| out.write_all(comma))
            .and_then(|()| out.write_all(&text));
    }
    Ok(written.and_then(|()| out.write_all(b"]")))
}
