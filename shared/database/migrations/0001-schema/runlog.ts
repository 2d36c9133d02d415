/**
 * The legacy logbook: the 38 columns of production in their order, then the tag, which used to be a database of
 * its own. `file_size` is BIGINT: the old INT lost every size above 2.1 GB.
 *
 * `logged_at` is not null while the row holds something of the DAQ's logger that Cygnet has not read: statements
 * that do not name the column, such as the logger's, leave the time there. The column is invisible, so that the
 * old tools' `SELECT *` returns the columns it always did.
 */
export const RUNLOG: readonly string[] = [
  `Runlog (
    run_number INT UNSIGNED NOT NULL,
    run_description TEXT NULL,
    start_time DATETIME NULL,
    exposure_sec DOUBLE NULL,
    GEM3_V FLOAT NULL,
    GEM2_V FLOAT NULL,
    GEM1_V FLOAT NULL,
    T2_V FLOAT NULL,
    T1_V FLOAT NULL,
    DRIFT_V FLOAT NULL,
    OFFSET_V FLOAT NULL,
    PMT1_V FLOAT NULL,
    PMT2_V FLOAT NULL,
    PMT3_V FLOAT NULL,
    PMT4_V FLOAT NULL,
    HV_STATE INT UNSIGNED NULL,
    storage_local_status INT NOT NULL DEFAULT -1,
    storage_cloud_status INT NOT NULL DEFAULT -1,
    storage_tape_status INT NOT NULL DEFAULT -1,
    total_gas_flow FLOAT NULL,
    sequence_filename VARCHAR(255) NULL,
    sequencer_running BOOLEAN NULL,
    pedestal_run BOOLEAN NULL,
    source_type INT NULL,
    source_position FLOAT NULL,
    discrimination_threshold INT NULL,
    trigger_veto_time FLOAT NULL,
    trigger_logic INT NULL,
    run_type INT NULL,
    drs4_correction_active BOOLEAN NULL,
    shielding_configuration INT NULL,
    pmt_acquisition BOOLEAN NULL,
    stop_time DATETIME NULL,
    number_of_events DOUBLE NULL,
    file_size BIGINT NOT NULL DEFAULT -1,
    file_checksum VARCHAR(32) NULL,
    file_s3_tag VARCHAR(200) NULL,
    online_reco_status INT NOT NULL DEFAULT -1,
    tag VARCHAR(200) NOT NULL,
    logged_at DATETIME(3) NULL INVISIBLE DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (tag, run_number),
    KEY logged (logged_at)
  )`,
]
