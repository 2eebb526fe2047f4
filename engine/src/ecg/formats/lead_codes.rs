//! Lead numbers shared by EN 1064 (SCP-ECG, section 5.6.3), ISO/IEEE 11073-10102 (MDC partition 2), DICOM CID 3001 and
//! ISO 22077 (MFER).

/// Number and name.
const LEADS: [(u16, &str); 40] = [
    (1, "I"),
    (2, "II"),
    (3, "V1"),
    (4, "V2"),
    (5, "V3"),
    (6, "V4"),
    (7, "V5"),
    (8, "V6"),
    (9, "V7"),
    (10, "V2R"),
    (11, "V3R"),
    (12, "V4R"),
    (13, "V5R"),
    (14, "V6R"),
    (15, "V7R"),
    (16, "X"),
    (17, "Y"),
    (18, "Z"),
    (19, "CC5"),
    (20, "CM5"),
    (21, "LA"),
    (22, "RA"),
    (23, "LL"),
    (24, "fI"),
    (25, "fE"),
    (26, "fC"),
    (27, "fA"),
    (28, "fM"),
    (29, "fF"),
    (30, "fH"),
    (61, "III"),
    (62, "aVR"),
    (63, "aVL"),
    (64, "aVF"),
    (65, "-aVR"),
    (66, "V8"),
    (67, "V9"),
    (68, "V8R"),
    (69, "V9R"),
    (70, "D"),
];

/// Name of a lead by its number.
pub(super) fn name_of_code(code: u16) -> Option<&'static str> {
    LEADS.iter().find(|lead| lead.0 == code).map(|lead| lead.1)
}

/// Number of a lead by its name as on paper.
pub(super) fn code_of_name(name: &str) -> Option<u16> {
    let plain = match name {
        "VX" | "vx" => "X",
        "VY" | "vy" => "Y",
        "VZ" | "vz" => "Z",
        other => other,
    };
    LEADS.iter().find(|lead| lead.1 == plain).map(|lead| lead.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for (code, name) in LEADS {
            assert_eq!((name_of_code(code), code_of_name(name)), (Some(name), Some(code)));
        }
        assert_eq!((name_of_code(60), code_of_name("MLII")), (None, None));
    }
}
