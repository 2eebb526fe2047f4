//! Lossless change of transfer syntax.

use super::file::ImageFile;
use crate::output;
use anyhow::{Context, Result, bail};
use clap::Args;
use dataset::{Encoding, SopClassUid, SopInstanceUid, TransferSyntaxUid, Vr, tags};
use engine::codec::{
    DecodedColour, FrameDescription, Photometric, StoredPixels, TransferSyntax, htj2k, jpegls, rle,
};
use std::path::PathBuf;

const NAMES: [(&str, TransferSyntax); 4] = [
    ("explicit-le", TransferSyntax::EXPLICIT_LE),
    ("rle", TransferSyntax::RLE),
    ("jpeg-ls", TransferSyntax::JPEG_LS_LOSSLESS),
    ("htj2k", TransferSyntax::HTJ2K_LOSSLESS_RPCL),
];

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying image transcode ct.dcm --to jpeg-ls -o small.dcm")]
pub(crate) struct Transcode {
    /// DICOM file.
    pub(super) file: PathBuf,
    /// Transfer syntax: explicit-le, rle, jpeg-ls, htj2k (lossless, resolution first), or its UID.
    #[arg(long)]
    to: String,
    /// File to write.
    #[arg(short, long)]
    output: PathBuf,
}

impl Transcode {
    pub(super) fn transcode(&self, file: &mut ImageFile) -> Result<()> {
        let target = self.target()?;
        let mut frame = file.image.frame.clone();
        file.map.check_complete()?;
        let mut frames = Vec::new();
        for k in 0..file.map.frames() {
            let pixels = file.decode(k)?;
            if k == 0 {
                settle_colour(&mut frame, &pixels);
            }
            frames.push(encode(&frame, &pixels, target)?);
        }
        let mut set = file.data_set.clone();
        set.remove(tags::PIXEL_DATA);
        if frame.samples_per_pixel > 1 {
            set.put_u16(tags::PLANAR_CONFIGURATION, 0);
            set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, name(&frame, target));
        }
        let class = set
            .text(tags::SOP_CLASS_UID)
            .context("SOP Class UID (0008,0016) is missing")?;
        let instance = set
            .text(tags::SOP_INSTANCE_UID)
            .context("SOP Instance UID (0008,0018) is missing")?;
        let (class, instance) = (SopClassUid::parse(&class)?, SopInstanceUid::parse(&instance)?);
        let syntax = TransferSyntaxUid::parse(target.uid())?;
        let mut out = dataset::file::meta_bytes(&class, &instance, &syntax, None)?;
        out.extend(dataset::write::encode(&set, Encoding::ExplicitLe)?);
        append_pixels(&mut out, &frame, target, &frames)?;
        output::write_file(&self.output, &out)
    }

    fn target(&self) -> Result<TransferSyntax> {
        let by_name = NAMES
            .iter()
            .find(|(name, syntax)| *name == self.to || syntax.uid() == self.to);
        let names: Vec<&str> = NAMES.iter().map(|n| n.0).collect();
        by_name
            .map(|n| n.1)
            .with_context(|| format!("--to {}: choose one of {}", self.to, names.join(", ")))
    }
}

/// What the colour samples are after decoding.
pub(crate) fn settle_colour(frame: &mut FrameDescription, pixels: &StoredPixels) {
    frame.planar = false;
    frame.photometric = match (pixels.colour, frame.photometric) {
        (DecodedColour::Rgb, _) | (_, Photometric::YbrIct | Photometric::YbrRct) => Photometric::Rgb,
        (DecodedColour::YbrFull, _) | (_, Photometric::YbrFull422) => Photometric::YbrFull,
        (_, other) => other,
    };
}

/// Photometric Interpretation of colour in the target syntax.
pub(crate) fn name(frame: &FrameDescription, target: TransferSyntax) -> &'static str {
    if target == TransferSyntax::HTJ2K_LOSSLESS_RPCL && htj2k::transforms_colour(frame) {
        return "YBR_RCT";
    }
    match frame.photometric {
        Photometric::YbrFull => "YBR_FULL",
        Photometric::YbrPartial422 | Photometric::YbrPartial420 => "YBR_PARTIAL_422",
        _ => "RGB",
    }
}

pub(crate) fn encode(
    frame: &FrameDescription,
    pixels: &StoredPixels,
    target: TransferSyntax,
) -> Result<Vec<u8>> {
    Ok(match target {
        TransferSyntax::RLE => rle::encode(frame, &pixels.data)?,
        TransferSyntax::JPEG_LS_LOSSLESS => jpegls::encode(frame, &pixels.data)?,
        TransferSyntax::HTJ2K_LOSSLESS_RPCL => htj2k::encode(frame, &pixels.data)?.stream,
        _ if frame.bits_allocated == 1 => bail!("one-bit images are not transcoded"),
        _ => pixels.data.to_le_bytes(),
    })
}

/// Pixel Data: native, or one fragment a frame behind a basic offset table.
fn append_pixels(
    out: &mut Vec<u8>,
    frame: &FrameDescription,
    target: TransferSyntax,
    frames: &[Vec<u8>],
) -> Result<()> {
    let total: usize = frames.iter().map(Vec::len).sum();
    let native = !target.is_encapsulated();
    out.extend([0xe0, 0x7f, 0x10, 0x00]);
    out.extend(if native && frame.bits_allocated > 8 {
        b"OW\0\0"
    } else {
        b"OB\0\0"
    });
    if native {
        let length = u32::try_from(total + total % 2).context("the pixels are too many for one object")?;
        out.extend(length.to_le_bytes());
        frames.iter().for_each(|f| out.extend(f));
        out.extend(std::iter::repeat_n(0, total % 2));
        return Ok(());
    }
    let item = |length: usize| -> Result<[u8; 8]> {
        let [a, b, c, d] = u32::try_from(length)
            .context("a frame is too large")?
            .to_le_bytes();
        Ok([0xfe, 0xff, 0x00, 0xe0, a, b, c, d])
    };
    out.extend([0xff; 4]);
    let mut offsets = Vec::with_capacity(frames.len());
    let mut at = 0usize;
    for f in frames {
        offsets.push(u32::try_from(at).ok());
        at += 8 + f.len() + f.len() % 2;
    }
    // A table that cannot hold its offsets is left empty.
    let table: Vec<u8> = offsets
        .into_iter()
        .collect::<Option<Vec<u32>>>()
        .unwrap_or_default()
        .iter()
        .flat_map(|o| o.to_le_bytes())
        .collect();
    out.extend(item(table.len())?);
    out.extend(table);
    for f in frames {
        out.extend(item(f.len() + f.len() % 2)?);
        out.extend(f);
        out.extend(std::iter::repeat_n(0, f.len() % 2));
    }
    out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    Ok(())
}
