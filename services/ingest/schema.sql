CREATE SCHEMA ingest;
CREATE FUNCTION ingest.outbox_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('outbox_' || tg_table_schema, '');
    return null;
end
$$;
CREATE TABLE ingest.datasets (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    started timestamp with time zone DEFAULT now() NOT NULL,
    ended timestamp with time zone,
    format text,
    content_sha256 text,
    frames integer,
    manifest jsonb,
    rule text,
    reason text,
    sound boolean,
    judged timestamp with time zone,
    CONSTRAINT datasets_check CHECK (((state = 'reading'::text) = (ended IS NULL))),
    CONSTRAINT datasets_check1 CHECK (((state = 'validated'::text) = (manifest IS NOT NULL))),
    CONSTRAINT datasets_check2 CHECK (((state = 'rejected'::text) = (rule IS NOT NULL))),
    CONSTRAINT datasets_state_check CHECK ((state = ANY (ARRAY['reading'::text, 'validated'::text, 'rejected'::text]))),
    CONSTRAINT datasets_version_check CHECK ((version >= 1))
);
CREATE TABLE ingest.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE ingest.known_datasets (
    source integer NOT NULL,
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    owner_id uuid NOT NULL,
    private boolean NOT NULL,
    title text NOT NULL,
    CONSTRAINT known_datasets_version_check CHECK ((version >= 1))
);
ALTER TABLE ingest.known_datasets ALTER COLUMN source ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.known_datasets_source_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE ingest.known_frames (
    hash uuid NOT NULL,
    source integer NOT NULL,
    held_out boolean NOT NULL
);
CREATE TABLE ingest.made_public (
    dataset_id uuid NOT NULL,
    version integer NOT NULL
);
CREATE TABLE ingest.outbox (
    seq bigint NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    about text NOT NULL,
    occurred timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    traceparent text,
    body text NOT NULL
);
ALTER TABLE ingest.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE ingest.schema_migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE ingest.standard (
    one boolean DEFAULT true NOT NULL,
    number integer DEFAULT 0 NOT NULL,
    CONSTRAINT standard_one_check CHECK (one)
);
CREATE TABLE ingest.standard_frames (
    hash uuid NOT NULL
);
CREATE TABLE ingest.withdrawn (
    dataset_id uuid NOT NULL,
    version integer NOT NULL
);
ALTER TABLE ONLY ingest.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY ingest.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);
ALTER TABLE ONLY ingest.known_datasets
    ADD CONSTRAINT known_datasets_dataset_id_version_key UNIQUE (dataset_id, version);
ALTER TABLE ONLY ingest.known_datasets
    ADD CONSTRAINT known_datasets_pkey PRIMARY KEY (source);
ALTER TABLE ONLY ingest.made_public
    ADD CONSTRAINT made_public_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY ingest.outbox
    ADD CONSTRAINT outbox_id_key UNIQUE (id);
ALTER TABLE ONLY ingest.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY ingest.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);
ALTER TABLE ONLY ingest.standard_frames
    ADD CONSTRAINT standard_frames_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY ingest.standard
    ADD CONSTRAINT standard_pkey PRIMARY KEY (one);
ALTER TABLE ONLY ingest.withdrawn
    ADD CONSTRAINT withdrawn_pkey PRIMARY KEY (dataset_id, version);
CREATE INDEX datasets_content ON ingest.datasets USING btree (content_sha256);
CREATE INDEX known_frames_hash ON ingest.known_frames USING btree (hash);
CREATE TRIGGER outbox_notify AFTER INSERT ON ingest.outbox FOR EACH STATEMENT EXECUTE FUNCTION ingest.outbox_notify();
