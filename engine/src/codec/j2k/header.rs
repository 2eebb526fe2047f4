//! Main header of the streams that are decoded here (ITU-T T.800 Annex A): one tile over the whole image from the origin
//! on, one coding style and reversible quantisation for all components. Everything else is `None`.

/// Bits of a sample: what the transforms add still fits 32.
const BITS_MAX: u8 = 16;
const LEVELS_MAX: u8 = 32;

/// Order of packets (T.800 table A.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progression {
    LayerResolution,
    ResolutionLayer,
    ResolutionPosition,
    PositionComponent,
    ComponentPosition,
}

/// What the main header says.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) components: usize,
    pub(super) bits: u8,
    pub(super) signed: bool,
    pub(super) levels: u8,
    /// Colours were decorrelated by the reversible component transform.
    pub(super) transformed: bool,
    pub(super) layers: u16,
    pub(super) progression: Progression,
    /// Sides of a block as powers of two: width, height.
    pub(super) block: (u8, u8),
    /// Sides of a precinct of each resolution as powers of two.
    pub(super) precincts: Vec<(u8, u8)>,
    /// Blocks are of the high-throughput kind.
    pub(super) high_throughput: bool,
    /// A marker may stand before each packet.
    pub(super) sop: bool,
    /// A marker stands behind each packet header.
    pub(super) eph: bool,
    /// Bit planes of each band, the lowest first, then three of each level.
    pub(super) planes: Vec<u32>,
    /// Where the first tile-part begins.
    pub(super) tile_parts: usize,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

impl Header {
    /// Reads a code stream's main header.
    pub(super) fn read(stream: &[u8]) -> Option<Self> {
        let (mut siz, mut cod, mut qcd) = (None, None, None);
        let mut at = 2;
        loop {
            let code = u16_at(stream, at)?;
            if code == 0xff90 {
                break;
            }
            let length = usize::from(u16_at(stream, at + 2)?);
            let body = stream.get(at + 4..at + 2 + length)?;
            match code {
                0xff51 => siz = Some(body),
                0xff52 => cod = Some(body),
                0xff5c => qcd = Some(body),
                // Capabilities, profile, comment, lengths, registration: nothing that changes the decoding.
                0xff50 | 0xff59 | 0xff64 | 0xff55 | 0xff57 | 0xff63 => {}
                _ => return None,
            }
            at += 2 + length;
        }
        let mut header = Self::size(siz?)?;
        header.tile_parts = at;
        header.style(cod?)?;
        header.quantisation(qcd?)?;
        Some(header)
    }

    fn size(body: &[u8]) -> Option<Self> {
        let field = |k: usize| u32_at(body, 2 + 4 * k);
        let (columns, rows) = (field(0)?, field(1)?);
        let at_origin = field(2)? == 0 && field(3)? == 0 && field(6)? == 0 && field(7)? == 0;
        let one_tile = field(4)? >= columns && field(5)? >= rows;
        let components = usize::from(u16_at(body, 34)?);
        let specs = body.get(36..36 + 3 * components)?.as_chunks::<3>().0;
        let [depth, ..] = *specs.first()?;
        let alike = specs.iter().all(|s| *s == [depth, 1, 1]);
        let bits = (depth & 0x7f) + 1;
        let sizes = 1..=0xffff;
        let sound = sizes.contains(&columns) && sizes.contains(&rows) && components <= 4 && bits <= BITS_MAX;
        (at_origin && one_tile && alike && sound).then(|| Self {
            columns,
            rows,
            components,
            bits,
            signed: depth & 0x80 != 0,
            levels: 0,
            transformed: false,
            layers: 0,
            progression: Progression::LayerResolution,
            block: (0, 0),
            precincts: Vec::new(),
            high_throughput: false,
            sop: false,
            eph: false,
            planes: Vec::new(),
            tile_parts: 0,
        })
    }

    fn style(&mut self, body: &[u8]) -> Option<()> {
        let [
            flags,
            progression,
            l1,
            l0,
            transform,
            levels,
            width,
            height,
            style,
            wavelet,
            rest @ ..,
        ] = body
        else {
            return None;
        };
        self.progression = match progression {
            0 => Progression::LayerResolution,
            1 => Progression::ResolutionLayer,
            2 => Progression::ResolutionPosition,
            3 => Progression::PositionComponent,
            4 => Progression::ComponentPosition,
            _ => return None,
        };
        (self.sop, self.eph) = (flags & 2 != 0, flags & 4 != 0);
        self.layers = u16::from_be_bytes([*l1, *l0]);
        self.transformed = *transform == 1;
        self.levels = *levels;
        self.block = (width.checked_add(2)?, height.checked_add(2)?);
        self.high_throughput = match style {
            0 => false,
            0x40 => true,
            _ => return None,
        };
        let (w, h) = self.block;
        let blocks = w <= 10 && h <= 10 && w + h <= 12;
        let transforms = *transform <= 1 && (*transform == 0 || self.components >= 3);
        if *wavelet != 1 || *levels > LEVELS_MAX || self.layers == 0 || !blocks || !transforms {
            return None;
        }
        let resolutions = usize::from(*levels) + 1;
        self.precincts = if flags & 1 == 0 {
            vec![(15, 15); resolutions]
        } else {
            let sizes = rest.get(..resolutions)?;
            sizes.iter().map(|p| (p & 15, p >> 4)).collect()
        };
        // A precinct of one sample cannot be halved into bands.
        let halved = self.precincts.iter().skip(1).all(|(w, h)| *w > 0 && *h > 0);
        halved.then_some(())
    }

    fn quantisation(&mut self, body: &[u8]) -> Option<()> {
        let (style, exponents) = body.split_first()?;
        let guard = u32::from(style >> 5);
        if style & 31 != 0 {
            return None;
        }
        let exponents = exponents.get(..1 + 3 * usize::from(self.levels))?;
        let planes = exponents
            .iter()
            .map(|e| (guard + u32::from(e >> 3)).checked_sub(1));
        self.planes = planes.collect::<Option<_>>()?;
        self.planes.iter().all(|p| (1..=30).contains(p)).then_some(())
    }

    /// Sides of a resolution, the lowest being 0: width, height.
    pub(super) fn resolution(&self, r: usize) -> (usize, usize) {
        let shift = usize::from(self.levels) - r;
        let part = |side: usize| side.div_ceil(1 << shift);
        (part(self.columns), part(self.rows))
    }

    /// Sides of a band of a resolution: 0 the low one, 1 to 3 the details (horizontal, vertical, both).
    pub(super) fn band(&self, r: usize, kind: usize) -> (usize, usize) {
        let (w, h) = self.resolution(r);
        match (r, kind) {
            (0, _) => (w, h),
            (_, 1) => (w / 2, h.div_ceil(2)),
            (_, 2) => (w.div_ceil(2), h / 2),
            _ => (w / 2, h / 2),
        }
    }
}
