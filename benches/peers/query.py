"""C-FIND beside Orthanc: the same made studies in both, the same client, wall time of one association at a time."""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

import side

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind as FIND

PASSWORD = "Side-by-side-1"
FAMILIES = "Zhang Wang Li Zhao Liu Chen Yang Huang Zhou Wu Xu Sun Hu Zhu Gao Lin He Guo Ma Luo".split()


def made(number):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, generate_uid()
    d.StudyInstanceUID, d.SeriesInstanceUID = generate_uid(), generate_uid()
    d.PatientName = f"{FAMILIES[number % len(FAMILIES)]}^N{number}"
    d.PatientID, d.AccessionNumber = f"P{number:06}", f"B{number:07}"
    d.StudyDate, d.StudyTime = f"2026{number % 12 + 1:02}{number // 12 % 28 + 1:02}", "101500"
    d.Modality, d.StudyID, d.SeriesNumber, d.InstanceNumber = "CT", "1", 1, 1
    d.PatientBirthDate, d.PatientSex, d.ReferringPhysicianName = "19600101", "O", ""
    return d


def gongying(binary, folder):
    process = subprocess.Popen([binary, "demo", "--data", folder, "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", "--no-browser"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "GONGYING_DEMO_PASSWORD": PASSWORD})
    for line in process.stdout:
        if line.startswith("READY "):
            return process, int(line.split("dicom=")[1].split()[0].rsplit(":", 1)[1])
    sys.exit("gongying did not come up")


def orthanc(folder):
    port, web = (random.randint(20000, 50000) for _ in range(2))
    settings = os.path.join(folder, "orthanc.json")
    with open(settings, "w") as out:
        json.dump({"StorageDirectory": folder, "IndexDirectory": folder, "DicomPort": port, "HttpPort": web, "DicomAet": "GONGYING",
                   "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True, "DicomCheckCalledAet": False, "OverwriteInstances": True}, out)
    process = subprocess.Popen(["Orthanc", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TCP_NODELAY": "1"})
    time.sleep(3)
    return process, port


def associate(port, context):
    ae = AE("JUDGE")
    ae.add_requested_context(context, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title="GONGYING")
    if not association.is_established:
        sys.exit(f"no association at port {port}")
    return association


def find_ms(port, keys, wanted, times):
    """Median and number of answers of one question, asked again and again on one association."""
    association, took, count = associate(port, FIND), [], 0
    for _ in range(times):
        start = time.perf_counter()
        count = sum(1 for status, answer in association.send_c_find(keys, FIND) if answer is not None)
        took.append((time.perf_counter() - start) * 1e3)
    association.release()
    note = "" if count == wanted else f" ({count} answers, wanted {wanted})"
    return statistics.median(took), note


def main():
    chosen = side.arguments(__doc__, __studies={"type": int, "default": 2000, "help": "studies made"})
    number = chosen.studies
    objects = [made(k) for k in range(number)]

    def keys(**more):
        d = Dataset()
        d.QueryRetrieveLevel = "STUDY"
        d.StudyInstanceUID, d.PatientName, d.PatientID, d.AccessionNumber, d.StudyDate, d.StudyTime = "", "", "", "", "", ""
        for name, value in more.items():
            setattr(d, name, value)
        return d
    named = sum(str(d.PatientName).startswith("Zhang") for d in objects)
    days = sum("20260310" <= d.StudyDate <= "20260314" for d in objects)
    questions = [("accession number", keys(AccessionNumber=objects[7].AccessionNumber), 1, 100),
                 ("five days", keys(StudyDate="20260310-20260314"), days, 20), (f"{named} names", keys(PatientName="Zhang*"), named, 5)]
    found = {}
    for name in ("gongying", "Orthanc"):
        with tempfile.TemporaryDirectory() as folder:
            process, port = gongying(chosen.bin, folder) if name == "gongying" else orthanc(folder)
            try:
                association = associate(port, CTImageStorage)
                start = time.perf_counter()
                for d in objects:
                    if association.send_c_store(d).Status != 0:
                        sys.exit(f"{name} did not store")
                association.release()
                print(f"{name}: {number} studies stored in {time.perf_counter() - start:.1f} s (client of Python)")
                found[name] = [find_ms(port, k, wanted, times) for _, k, wanted, times in questions]
            finally:
                process.terminate()
                process.wait()
    for (what, *_), (mine, note), (peer, other) in zip(questions, found["gongying"], found["Orthanc"]):
        print(f"{what}: ours {mine:.2f} ms{note}; Orthanc {peer:.2f} ms{other} ({peer / mine:.1f}x)")


if __name__ == "__main__":
    main()
