//! The commands give the same on a GPU as on the processor. Mesa's software device stands in for a GPU; without one the
//! test says so and is skipped, and `REQUIRE_ALL=1` insists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "gpu")]

use std::path::Path;
use std::process::{Command, Output};

fn run(gpu: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gongying"))
        .env("GONGYING_GPU", gpu)
        .args(arguments)
        .output()
        .expect("starts")
}

/// A numpy array of version 1.
fn npy(path: &Path, dtype: &str, shape: &str, values: &[u8]) {
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length);
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    std::fs::write(path, bytes).unwrap();
}

/// Values of an array of 32-bit floats or of bytes.
fn values(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]).into_owned();
    if header.contains("u1") {
        return bytes[start..].iter().map(|b| f32::from(*b)).collect();
    }
    let words = bytes[start..].chunks_exact(4);
    words.map(|w| f32::from_le_bytes(w.try_into().unwrap())).collect()
}

fn inputs(folder: &Path) -> (String, String) {
    const SIDE: usize = 40;
    let voxel = |i: usize| {
        let (x, y, z) = (
            (i % SIDE) as f64,
            (i / SIDE % SIDE) as f64,
            (i / SIDE / SIDE) as f64,
        );
        let off = (x - 19.5).hypot(y - 21.0).hypot(z - 17.0);
        (if off < 12.0 { 700.0 } else { -500.0 } + 90.0 * (x / 5.0).sin() * (y / 4.0).cos()) as i16
    };
    let volume = folder.join("volume.npy");
    let bytes: Vec<u8> = (0..SIDE * SIDE * SIDE)
        .flat_map(|i| voxel(i).to_le_bytes())
        .collect();
    npy(&volume, "<i2", "(40, 40, 40)", &bytes);
    let line = |i: usize| {
        let off = ((i % 64) as f32 - 31.5) / 32.0 - 0.2 * ((i / 64) as f32 * 0.07).sin();
        40.0 * (0.3 - off * off).max(0.0).sqrt()
    };
    let sinogram = folder.join("sinogram.npy");
    let bytes: Vec<u8> = (0..90 * 64).flat_map(|i| line(i).to_le_bytes()).collect();
    npy(&sinogram, "<f4", "(90, 64)", &bytes);
    (volume.display().to_string(), sinogram.display().to_string())
}

#[test]
fn commands_agree_on_both() {
    let folder = tempfile::tempdir().unwrap();
    let (volume, sinogram) = inputs(folder.path());
    let plane = "--origin 2,3,4 --row 0.8,0.6,0 --col -0.36,0.48,0.8 --size 30,28 --pixel 1";
    let jobs = [
        (format!("volume mpr {volume} {plane}"), 0.05),
        (format!("volume mpr {volume} {plane} --slab 8 --mode mean"), 0.05),
        (
            format!("volume project {volume} --mode mip --view 25,15 --size 40,40"),
            0.05,
        ),
        (
            format!("volume project {volume} --mode composite --view 25,15 --size 40,40"),
            1.0,
        ),
        (
            format!("recon fbp {sinogram} --angles-deg 0,2 --detector-mm 1"),
            0.01,
        ),
        (
            format!("recon sirt {sinogram} --angles-deg 0,2 --detector-mm 1 --iterations 3"),
            0.01,
        ),
    ];
    for (job, limit) in &jobs {
        let made = ["off", "force"].map(|gpu| {
            let out = folder.path().join(format!("{gpu}.npy"));
            let shown = out.display().to_string();
            let arguments: Vec<&str> = job.split(' ').chain(["-o", &shown]).collect();
            (run(gpu, &arguments), out)
        });
        let said = String::from_utf8_lossy(&made[1].0.stderr).into_owned();
        if said.contains("no Vulkan device") && std::env::var_os("REQUIRE_ALL").is_none() {
            return eprintln!("skipped: {said}");
        }
        assert!(
            made[0].0.status.success() && made[1].0.status.success(),
            "{job}: {said}"
        );
        assert!(!said.contains("computed on the CPU"), "{job}: {said}");
        let [cpu, gpu] = made.map(|(_, out)| values(&out));
        assert_eq!(cpu.len(), gpu.len(), "{job}");
        let worst = cpu
            .iter()
            .zip(&gpu)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst <= *limit, "{job}: {worst}");
        let spread =
            cpu.iter().copied().fold(f32::MIN, f32::max) - cpu.iter().copied().fold(f32::MAX, f32::min);
        assert!(spread > 0.1, "{job} shows nothing");
    }
    let wrong = run(
        "sometimes",
        &[
            "volume", "mpr", &volume, "--plane", "axial", "--index", "3", "-o", "x.npy",
        ],
    );
    assert!(
        wrong.status.code() == Some(1)
            && String::from_utf8_lossy(&wrong.stderr).contains("off, auto or force")
    );
}
