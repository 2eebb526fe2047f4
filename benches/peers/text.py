"""Chinese character sets beside Python's codecs, which are written in C. Our figures come from `cargo bench`."""
import re
import subprocess

import side

REPORT = ("胸廓对称，双肺纹理清晰，右肺上叶尖段见类圆形结节影，直径约8mm，边缘光整，密度均匀，CT值约35HU；"
          "余肺野未见明显实变影。气管、支气管通畅，纵隔居中，未见肿大淋巴结。心影不大，主动脉走行自然。\r\n")
TEXT_BYTES = 64 << 10


def main():
    print(f"load {side.os.getloadavg()[0]:.1f}")
    text = REPORT * (TEXT_BYTES // len(REPORT.encode()))
    out = subprocess.run(["cargo", "bench", "--bench", "charset"], check=True, capture_output=True, text=True).stdout
    ours = dict(re.findall(r"^charset/(.+?)\s+time:.*?least ([\d.]+) ms CPU", out, re.M | re.S))
    for name, work in [
        ("GB18030 text to Unicode", lambda raw=text.encode("gb18030"): raw.decode("gb18030")),
        ("UTF-8 text to Unicode", lambda raw=text.encode(): raw.decode()),
        ("Unicode text to GB18030", lambda: text.encode("gb18030")),
    ]:
        side.row(name, float(ours[name]), [("Python", side.least_ms(work))])


if __name__ == "__main__":
    main()
