-- What each owner allows for one vault. The owners' application writes it (settings_writer); the ingestor reads it.
CREATE TABLE vault_settings (
    vault bytea PRIMARY KEY CHECK (length(vault) = 32),
    owner bytea NOT NULL CHECK (length(owner) = 32),
    version bigint NOT NULL CHECK (version > 0),
    profile text NOT NULL CHECK (profile IN ('conservative', 'moderate', 'aggressive')),
    enabled boolean NOT NULL,
    slippage_bps_max integer NOT NULL CHECK (slippage_bps_max BETWEEN 0 AND 10000),
    allowed_mints bytea[] NOT NULL,
    dead_band_bps integer NOT NULL CHECK (dead_band_bps BETWEEN 0 AND 10000),
    trade_value_micro_usd_min bigint NOT NULL CHECK (trade_value_micro_usd_min >= 0),
    trade_value_micro_usd_max bigint NOT NULL CHECK (trade_value_micro_usd_max >= trade_value_micro_usd_min),
    day_value_micro_usd_max bigint NOT NULL CHECK (day_value_micro_usd_max >= 0),
    owner_signature bytea NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- A change without a greater version would never be published, and readers take the highest version they have seen.
CREATE FUNCTION vault_settings_version_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <= OLD.version THEN
        RAISE EXCEPTION 'version % of vault % does not follow version %', NEW.version, encode(NEW.vault, 'hex'), OLD.version
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.changed_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER vault_settings_version_grows BEFORE UPDATE ON vault_settings
    FOR EACH ROW EXECUTE FUNCTION vault_settings_version_grows();

GRANT SELECT ON vault_settings TO ingestor;
GRANT SELECT, INSERT, UPDATE ON vault_settings TO settings_writer;
