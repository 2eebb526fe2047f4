//! Documents: HL7 aECG, GE MUSE, Philips Sierra.

pub(super) fn aecg() -> Vec<Vec<u8>> {
    let lead = |code: &str, digits: &str| {
        format!(
            "<component><sequence><code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.24\"/><value xsi:type=\"SLIST_PQ\">\
             <origin value=\"0\" unit=\"uV\"/><scale value=\"2.5\" unit=\"uV\"/><digits>{digits}</digits></value></sequence></component>"
        )
    };
    let set = format!(
        "<component><sequenceSet><component><sequence><code code=\"TIME_ABSOLUTE\"/><value xsi:type=\"GLIST_TS\"><head \
         value=\"20240102101112.000\"/><increment value=\"0.002\" unit=\"s\"/></value></sequence></component>{}{}</sequenceSet></component>",
        lead("MDC_ECG_LEAD_I", "1 2 3 -4 5 0 7 8"),
        lead("MDC_ECG_LEAD_II", "9 9 -9 1 1 1 2 3")
    );
    let whole = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><AnnotatedECG xmlns=\"urn:hl7-org:v3\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><id root=\"2.25.1\"/><componentOf><timepointEvent><componentOf>\
         <subjectAssignment><subject><trialSubject><id extension=\"7\"/><subjectDemographicPerson><name><family>Li</family>\
         <given>An</given></name><administrativeGenderCode code=\"F\"/><birthTime value=\"19530508\"/></subjectDemographicPerson>\
         </trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf><component><series>\
         <effectiveTime><low value=\"20240102101112\"/></effectiveTime><author><seriesAuthor><manufacturedSeriesDevice>\
         <manufacturerModelName>M1</manufacturerModelName><softwareName>2.0</softwareName></manufacturedSeriesDevice></seriesAuthor>\
         </author><controlVariable><controlVariable><code code=\"MDC_ECG_CTL_VBL_ATTR_FILTER_LOW_PASS\"/><component>\
         <controlVariable><code code=\"MDC_ECG_CTL_VBL_ATTR_FILTER_CUTOFF_FREQ\"/><value xsi:type=\"PQ\" value=\"150\" unit=\"Hz\"/>\
         </controlVariable></component></controlVariable></controlVariable>{set}<subjectOf><annotationSet><component><annotation>\
         <code code=\"MDC_ECG_INTERPRETATION\"/><component><annotation><code code=\"MDC_ECG_INTERPRETATION_STATEMENT\"/>\
         <value xsi:type=\"ST\">Sinus &amp; more</value></annotation></component></annotation></component></annotationSet></subjectOf>\
         <derivation><derivedSeries>{set}</derivedSeries></derivation></series></component></AnnotatedECG>"
    );
    let wide: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(whole.replace("UTF-8", "UTF-16").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    vec![whole.into_bytes(), wide]
}

pub(super) fn muse() -> Vec<Vec<u8>> {
    let lead = |id: &str, coded: &str| {
        format!(
            "<LeadData><LeadSampleCountTotal>3</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>\
             <LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{id}</LeadID><LeadSampleSize>2</LeadSampleSize>\
             <LeadOffsetFirstSample>0</LeadOffsetFirstSample><FirstSampleBaseline>0</FirstSampleBaseline>\
             <LeadDataCRC32>7</LeadDataCRC32><WaveFormData>\n{coded}\n</WaveFormData></LeadData>"
        )
    };
    let waveform = |kind: &str| {
        format!(
            "<Waveform><WaveformType>{kind}</WaveformType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>\
             <HighPassFilter>5</HighPassFilter><LowPassFilter>150</LowPassFilter><ACFilter>50</ACFilter>{}{}</Waveform>",
            lead("I", "AQACAP//"),
            lead("II", "BQAEAAMA")
        )
    };
    let whole = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><!DOCTYPE RestingECG SYSTEM \"restecg.dtd\"><RestingECG>\
         <PatientDemographics><PatientID>7</PatientID><PatientAge>11</PatientAge><AgeUnits>YEARS</AgeUnits>\
         <DateofBirth>02-09-1990</DateofBirth><Gender>MALE</Gender><PatientLastName>Li</PatientLastName><PatientFirstName>An\
         </PatientFirstName></PatientDemographics><TestDemographics><AcquisitionTime>10:35:17</AcquisitionTime>\
         <AcquisitionDate>01-02-2024</AcquisitionDate><AcquisitionDevice>MAC55</AcquisitionDevice></TestDemographics>\
         <RestingECGMeasurements><PRInterval>122</PRInterval><QTCorrected>400</QTCorrected></RestingECGMeasurements><Diagnosis>\
         <DiagnosisStatement><StmtText>Sinus</StmtText></DiagnosisStatement></Diagnosis>{}{}</RestingECG>",
        waveform("Median"),
        waveform("Rhythm")
    );
    vec![whole.into_bytes()]
}

pub(super) fn sierra() -> Vec<Vec<u8>> {
    let document = |samples: u32, waves: &str| {
        format!(
            "<?xml version=\"1.0\"?><restingecgdata xmlns=\"http://www3.medical.philips.com\"><dataacquisition date=\"2020-05-18\" \
             time=\"15:48:11\"><machine machineid=\"U1\">PageWriter</machine><signalcharacteristics><samplingrate>500</samplingrate>\
             <resolution>5</resolution><signaloffset>0</signaloffset><bitspersample>16</bitspersample><numberchannelsvalid>2\
             </numberchannelsvalid></signalcharacteristics></dataacquisition><patient><generalpatientdata><patientid>9</patientid>\
             <name><lastname>Li</lastname><firstname/></name><age><dateofbirth>1951-01-02</dateofbirth></age><sex>Female</sex>\
             </generalpatientdata></patient><interpretations><interpretation><statement><leftstatement>Sinus</leftstatement>\
             <rightstatement>rate&lt; 50</rightstatement></statement></interpretation></interpretations><waveforms>\
             <parsedwaveforms durationperchannel=\"{}\" {waves}</parsedwaveforms></waveforms></restingecgdata>",
            samples * 2
        )
        .into_bytes()
    };
    let xli = "EAAAAAEAAAAAAAAAEAQBAEAQBAEAQP/A";
    vec![
        document(
            6,
            &format!("dataencoding=\"Base64\" compression=\"XLI\" leadlabels=\"V1 V2\">{xli}{xli}"),
        ),
        document(
            4,
            &format!(
                "dataencoding=\"Base64\" compressmethod=\"XLI\" compressflag=\"True\" leadlabels=\"I II III\">{xli}{xli}{xli}"
            ),
        ),
        document(3, "dataencoding=\"Plain\" leadlabels=\"I II\">1 2 3 -4 5 6"),
        document(
            3,
            "dataencoding=\"Base64\" compressflag=\"False\" leadlabels=\"I II\">AQACAP//BQAEAAMA",
        ),
    ]
}
