CREATE SCHEMA gateway;
CREATE FUNCTION gateway.audit_log_stays() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin raise exception 'the audit log is only added to'; end $$;
CREATE FUNCTION gateway.outbox_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('outbox_' || tg_table_schema, '');
    return null;
end
$$;
CREATE FUNCTION gateway.tell_rights_ended() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('gateway_feed', 'person/' || old.person_id);
    return null;
end
$$;
CREATE FUNCTION gateway.word_less_a_letter(word text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT COST 1000 PARALLEL SAFE
    RETURN (SELECT array_agg(DISTINCT ("left"(word_less_a_letter.word, place.place) || substr(word_less_a_letter.word, (place.place + 2)))) AS array_agg FROM generate_series(0, length(word_less_a_letter.word)) place(place));
CREATE TABLE gateway.agreement_texts (
    sha256 text NOT NULL,
    version text NOT NULL,
    language text NOT NULL,
    content text NOT NULL
);
CREATE TABLE gateway.alias_moves (
    alias text NOT NULL,
    moved timestamp with time zone NOT NULL,
    version text NOT NULL,
    previous text,
    reason text NOT NULL
);
CREATE TABLE gateway.audit_log (
    entry_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    person_id uuid,
    person text NOT NULL,
    action text NOT NULL,
    about text NOT NULL,
    reason text NOT NULL
);
ALTER TABLE gateway.audit_log ALTER COLUMN entry_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.audit_log_entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.catalogue (
    dataset_id uuid NOT NULL,
    public boolean NOT NULL,
    version integer NOT NULL,
    owner_id uuid NOT NULL,
    name text NOT NULL,
    authors text[] NOT NULL,
    licence text NOT NULL,
    created timestamp with time zone NOT NULL,
    size bigint NOT NULL,
    frames integer NOT NULL,
    elements text[] NOT NULL,
    new_elements text[] NOT NULL,
    functional text,
    stage text NOT NULL,
    state text NOT NULL,
    verdict text,
    held_up boolean NOT NULL,
    model text,
    search tsvector NOT NULL
);
CREATE TABLE gateway.catalogue_words (
    word text NOT NULL
);
CREATE TABLE gateway.consents (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    act text NOT NULL,
    person_id uuid NOT NULL,
    text_sha256 text NOT NULL,
    agreed timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT consents_act_check CHECK ((act = ANY (ARRAY['publish'::text, 'make-public'::text])))
);
CREATE TABLE gateway.contribution_log (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    "position" bigint NOT NULL,
    data text NOT NULL
);
CREATE TABLE gateway.contributions (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    validated jsonb,
    rejected jsonb,
    metric_started jsonb,
    metric jsonb,
    metric_at timestamp with time zone,
    pictures jsonb,
    stage text DEFAULT 'submit'::text NOT NULL,
    state text DEFAULT 'uploaded'::text NOT NULL,
    verdict text,
    last_event timestamp with time zone,
    held_up text,
    held_up_at timestamp with time zone,
    "position" bigint DEFAULT 0 NOT NULL,
    reading jsonb,
    reading_at timestamp with time zone,
    validated_at timestamp with time zone,
    metric_started_at timestamp with time zone,
    tables jsonb,
    report jsonb,
    looked_into jsonb,
    rejected_at timestamp with time zone,
    looked_into_at timestamp with time zone
);
CREATE TABLE gateway.curve_points (
    round_id uuid NOT NULL,
    branch text NOT NULL,
    step integer NOT NULL,
    attempt integer NOT NULL,
    energy_rmse_mev_per_atom double precision NOT NULL,
    force_rmse_mev_per_angstrom double precision NOT NULL
);
CREATE TABLE gateway.dataset_facts (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    formulas text[] NOT NULL,
    pairs text[] NOT NULL
);
CREATE TABLE gateway.datasets (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    owner_id uuid NOT NULL,
    upload_id uuid NOT NULL,
    name text NOT NULL,
    authors text[] NOT NULL,
    format text NOT NULL,
    licence text NOT NULL,
    private boolean NOT NULL,
    description text NOT NULL,
    declared jsonb,
    agreement text NOT NULL,
    filename text NOT NULL,
    archive_key text NOT NULL,
    archive_sha256 text NOT NULL,
    archive_size bigint NOT NULL,
    idempotency_key text,
    request_sha256 text NOT NULL,
    created timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    dpa boolean DEFAULT true NOT NULL,
    orcids jsonb DEFAULT '{}'::jsonb NOT NULL,
    region text,
    made_public timestamp with time zone,
    withdrawn timestamp with time zone,
    withdrawal_reason text,
    CONSTRAINT datasets_version_check CHECK ((version >= 1))
);
CREATE TABLE gateway.dead_letters (
    letter_id bigint NOT NULL,
    consumer text NOT NULL,
    event_id text NOT NULL,
    sequence bigint NOT NULL,
    subject text NOT NULL,
    about text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    died timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    CONSTRAINT dead_letters_state_check CHECK ((state = ANY (ARRAY['open'::text, 'requeued'::text, 'dropped'::text])))
);
ALTER TABLE gateway.dead_letters ALTER COLUMN letter_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.dead_letters_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.idempotency_keys (
    person_id uuid NOT NULL,
    key text NOT NULL,
    request_sha256 text NOT NULL,
    begun timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    status integer,
    headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    body bytea DEFAULT '\x'::bytea NOT NULL,
    shown_once boolean DEFAULT false NOT NULL
);
CREATE TABLE gateway.identities (
    provider text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE gateway.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE gateway.mails (
    mail_id bigint NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE gateway.mails ALTER COLUMN mail_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.mails_mail_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.model_marks (
    version text NOT NULL,
    retired timestamp with time zone,
    retired_reason text,
    marked timestamp with time zone,
    withdrawn_branches text[] DEFAULT '{}'::text[] NOT NULL,
    withdrawn_ancestral_datasets integer DEFAULT 0 NOT NULL
);
CREATE TABLE gateway.models (
    version text NOT NULL,
    published timestamp with time zone NOT NULL,
    event jsonb NOT NULL
);
CREATE TABLE gateway.notices (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    state text NOT NULL
);
CREATE TABLE gateway.one_time_links (
    secret_sha256 bytea NOT NULL,
    person_id uuid NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE TABLE gateway.outbox (
    seq bigint NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    about text NOT NULL,
    occurred timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    traceparent text,
    body text NOT NULL
);
ALTER TABLE gateway.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.people (
    person_id uuid DEFAULT gen_random_uuid() NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text,
    created timestamp with time zone DEFAULT now() NOT NULL,
    operator boolean DEFAULT false NOT NULL,
    suspended timestamp with time zone,
    language text DEFAULT 'en'::text NOT NULL,
    mail_when_done boolean DEFAULT false NOT NULL,
    CONSTRAINT people_email_check CHECK ((email = lower(email)))
);
CREATE TABLE gateway.predictions (
    prediction_id uuid NOT NULL,
    model_version text NOT NULL,
    requester text NOT NULL,
    requested timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent boolean DEFAULT false NOT NULL,
    finished timestamp with time zone,
    result jsonb,
    reason text,
    remedy text,
    CONSTRAINT predictions_check CHECK (((finished IS NOT NULL) = ((result IS NOT NULL) OR (reason IS NOT NULL)))),
    CONSTRAINT predictions_check1 CHECK (((result IS NULL) OR (reason IS NULL)))
);
CREATE TABLE gateway.program_sign_ins (
    secret_sha256 bytea NOT NULL,
    code_sha256 bytea NOT NULL,
    label text NOT NULL,
    address text NOT NULL,
    scopes text[] NOT NULL,
    days integer,
    state text DEFAULT 'waiting'::text NOT NULL,
    person_id uuid,
    created timestamp with time zone DEFAULT now() NOT NULL,
    expires timestamp with time zone NOT NULL,
    asked timestamp with time zone,
    CONSTRAINT program_sign_ins_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'approved'::text, 'denied'::text])))
);
CREATE TABLE gateway.receipts (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    round_id uuid NOT NULL,
    issued timestamp with time zone NOT NULL,
    document text NOT NULL
);
CREATE TABLE gateway.reruns (
    rerun_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    run_id uuid NOT NULL,
    requested_by uuid,
    idempotency_key text,
    requested timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished jsonb,
    finished_at timestamp with time zone,
    failed text
);
CREATE TABLE gateway.round_datasets (
    round_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    branch text NOT NULL,
    released jsonb,
    released_at timestamp with time zone
);
CREATE TABLE gateway.round_starts (
    round_id uuid NOT NULL,
    attempt integer NOT NULL,
    resumed_from integer NOT NULL,
    worker text NOT NULL,
    started_at timestamp with time zone
);
CREATE TABLE gateway.rounds (
    round_id uuid NOT NULL,
    queued jsonb,
    queued_at timestamp with time zone,
    attempt integer DEFAULT 0 NOT NULL,
    resumed_from integer DEFAULT 0 NOT NULL,
    worker text,
    progress jsonb,
    failed jsonb,
    finished jsonb,
    published jsonb,
    withheld jsonb,
    started_at timestamp with time zone,
    waits_for jsonb,
    last_event timestamp with time zone,
    waits_for_at timestamp with time zone
);
CREATE TABLE gateway.schema_migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE gateway.sessions (
    secret_sha256 bytea NOT NULL,
    person_id uuid NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    expires timestamp with time zone NOT NULL,
    session_id uuid DEFAULT gen_random_uuid() NOT NULL,
    device text DEFAULT ''::text NOT NULL,
    last_seen timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE gateway.sign_in_attempts (
    attempt_id bigint NOT NULL,
    account text NOT NULL,
    address text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE gateway.sign_in_attempts ALTER COLUMN attempt_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.sign_in_attempts_attempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.sign_in_flows (
    secret_sha256 bytea NOT NULL,
    provider text NOT NULL,
    verifier text NOT NULL,
    nonce text NOT NULL,
    next text NOT NULL,
    person_id uuid,
    subject text,
    name text DEFAULT ''::text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE TABLE gateway.standard_scores (
    version text NOT NULL,
    standard integer NOT NULL,
    scored timestamp with time zone NOT NULL,
    score jsonb NOT NULL
);
CREATE TABLE gateway.standard_versions (
    number integer NOT NULL,
    released timestamp with time zone NOT NULL,
    event jsonb NOT NULL
);
CREATE TABLE gateway.tokens (
    token_id uuid DEFAULT gen_random_uuid() NOT NULL,
    secret_sha256 bytea NOT NULL,
    person_id uuid NOT NULL,
    name text NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    last_used timestamp with time zone,
    scopes text[] DEFAULT '{read,contribute,account}'::text[] NOT NULL,
    expires timestamp with time zone
);
CREATE TABLE gateway.uploads (
    upload_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    filename text NOT NULL,
    size bigint NOT NULL,
    sha256 text,
    created timestamp with time zone DEFAULT now() NOT NULL,
    touched timestamp with time zone DEFAULT now() NOT NULL,
    region text,
    placed boolean DEFAULT true NOT NULL,
    received bigint DEFAULT 0 NOT NULL,
    ticket_sha256 bytea,
    partial boolean DEFAULT false NOT NULL,
    part_number integer,
    part_count integer,
    parts uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    part_sizes bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    CONSTRAINT uploads_size_check CHECK ((size > 0))
);
CREATE TABLE gateway.webhook_deliveries (
    delivery_id bigint NOT NULL,
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    about text NOT NULL,
    body text NOT NULL,
    created timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone,
    tried timestamp with time zone,
    status integer,
    problem text DEFAULT ''::text NOT NULL,
    seconds real,
    CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'failed'::text])))
);
ALTER TABLE gateway.webhook_deliveries ALTER COLUMN delivery_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gateway.webhook_deliveries_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE gateway.webhooks (
    webhook_id uuid DEFAULT gen_random_uuid() NOT NULL,
    person_id uuid NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,
    secret text NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    failing_since timestamp with time zone,
    disabled timestamp with time zone,
    disabled_reason text DEFAULT ''::text NOT NULL
);
ALTER TABLE ONLY gateway.agreement_texts
    ADD CONSTRAINT agreement_texts_pkey PRIMARY KEY (sha256);
ALTER TABLE ONLY gateway.alias_moves
    ADD CONSTRAINT alias_moves_pkey PRIMARY KEY (alias, moved);
ALTER TABLE ONLY gateway.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (entry_id);
ALTER TABLE ONLY gateway.catalogue
    ADD CONSTRAINT catalogue_pkey PRIMARY KEY (dataset_id, public);
ALTER TABLE ONLY gateway.catalogue_words
    ADD CONSTRAINT catalogue_words_pkey PRIMARY KEY (word);
ALTER TABLE ONLY gateway.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (dataset_id, version, act);
ALTER TABLE ONLY gateway.contribution_log
    ADD CONSTRAINT contribution_log_pkey PRIMARY KEY (dataset_id, version, "position");
ALTER TABLE ONLY gateway.contributions
    ADD CONSTRAINT contributions_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY gateway.curve_points
    ADD CONSTRAINT curve_points_pkey PRIMARY KEY (round_id, branch, step);
ALTER TABLE ONLY gateway.dataset_facts
    ADD CONSTRAINT dataset_facts_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY gateway.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY gateway.datasets
    ADD CONSTRAINT datasets_upload_id_key UNIQUE (upload_id);
ALTER TABLE ONLY gateway.dead_letters
    ADD CONSTRAINT dead_letters_consumer_event_id_key UNIQUE (consumer, event_id);
ALTER TABLE ONLY gateway.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (letter_id);
ALTER TABLE ONLY gateway.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (person_id, key);
ALTER TABLE ONLY gateway.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (provider, subject);
ALTER TABLE ONLY gateway.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);
ALTER TABLE ONLY gateway.mails
    ADD CONSTRAINT mails_pkey PRIMARY KEY (mail_id);
ALTER TABLE ONLY gateway.model_marks
    ADD CONSTRAINT model_marks_pkey PRIMARY KEY (version);
ALTER TABLE ONLY gateway.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (version);
ALTER TABLE ONLY gateway.notices
    ADD CONSTRAINT notices_pkey PRIMARY KEY (dataset_id, version, state);
ALTER TABLE ONLY gateway.one_time_links
    ADD CONSTRAINT one_time_links_pkey PRIMARY KEY (secret_sha256);
ALTER TABLE ONLY gateway.outbox
    ADD CONSTRAINT outbox_id_key UNIQUE (id);
ALTER TABLE ONLY gateway.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY gateway.people
    ADD CONSTRAINT people_email_key UNIQUE (email);
ALTER TABLE ONLY gateway.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (person_id);
ALTER TABLE ONLY gateway.predictions
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (prediction_id);
ALTER TABLE ONLY gateway.program_sign_ins
    ADD CONSTRAINT program_sign_ins_code_sha256_key UNIQUE (code_sha256);
ALTER TABLE ONLY gateway.program_sign_ins
    ADD CONSTRAINT program_sign_ins_pkey PRIMARY KEY (secret_sha256);
ALTER TABLE ONLY gateway.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (dataset_id, version, round_id);
ALTER TABLE ONLY gateway.reruns
    ADD CONSTRAINT reruns_pkey PRIMARY KEY (rerun_id);
ALTER TABLE ONLY gateway.round_datasets
    ADD CONSTRAINT round_datasets_pkey PRIMARY KEY (round_id, dataset_id, version);
ALTER TABLE ONLY gateway.round_starts
    ADD CONSTRAINT round_starts_pkey PRIMARY KEY (round_id, attempt);
ALTER TABLE ONLY gateway.rounds
    ADD CONSTRAINT rounds_pkey PRIMARY KEY (round_id);
ALTER TABLE ONLY gateway.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);
ALTER TABLE ONLY gateway.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (secret_sha256);
ALTER TABLE ONLY gateway.sessions
    ADD CONSTRAINT sessions_session_id_key UNIQUE (session_id);
ALTER TABLE ONLY gateway.sign_in_attempts
    ADD CONSTRAINT sign_in_attempts_pkey PRIMARY KEY (attempt_id);
ALTER TABLE ONLY gateway.sign_in_flows
    ADD CONSTRAINT sign_in_flows_pkey PRIMARY KEY (secret_sha256);
ALTER TABLE ONLY gateway.standard_scores
    ADD CONSTRAINT standard_scores_pkey PRIMARY KEY (version, standard);
ALTER TABLE ONLY gateway.standard_versions
    ADD CONSTRAINT standard_versions_pkey PRIMARY KEY (number);
ALTER TABLE ONLY gateway.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY gateway.tokens
    ADD CONSTRAINT tokens_secret_sha256_key UNIQUE (secret_sha256);
ALTER TABLE ONLY gateway.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY gateway.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (delivery_id);
ALTER TABLE ONLY gateway.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_event_id_key UNIQUE (webhook_id, event_id);
ALTER TABLE ONLY gateway.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (webhook_id);
CREATE INDEX catalogue_frames ON gateway.catalogue USING btree (frames, dataset_id) WHERE public;
CREATE INDEX catalogue_functional ON gateway.catalogue USING btree (functional) WHERE (public AND (functional IS NOT NULL));
CREATE INDEX catalogue_name ON gateway.catalogue USING btree (lower(name), dataset_id) WHERE public;
CREATE INDEX catalogue_newest ON gateway.catalogue USING btree (created, dataset_id) WHERE public;
CREATE INDEX catalogue_private ON gateway.catalogue USING btree (owner_id) WHERE (NOT public);
CREATE INDEX catalogue_search ON gateway.catalogue USING gin (search);
CREATE INDEX catalogue_size ON gateway.catalogue USING btree (size, dataset_id) WHERE public;
CREATE INDEX catalogue_words_near ON gateway.catalogue_words USING gin (gateway.word_less_a_letter(word));
CREATE INDEX contributions_metric_at ON gateway.contributions USING btree (metric_at DESC) WHERE (metric_started_at IS NOT NULL);
CREATE INDEX contributions_waiting ON gateway.contributions USING btree (state) WHERE (stage = ANY (ARRAY['submit'::text, 'check'::text, 'queue'::text, 'train'::text]));
CREATE UNIQUE INDEX datasets_idempotency ON gateway.datasets USING btree (owner_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX datasets_newest ON gateway.datasets USING btree (created DESC, dataset_id);
CREATE INDEX datasets_owner ON gateway.datasets USING btree (owner_id, created DESC);
CREATE INDEX dead_letters_open ON gateway.dead_letters USING btree (died) WHERE (state = 'open'::text);
CREATE INDEX idempotency_keys_begun ON gateway.idempotency_keys USING btree (begun);
CREATE INDEX identities_person ON gateway.identities USING btree (person_id);
CREATE INDEX mails_due ON gateway.mails USING btree (due);
CREATE INDEX one_time_links_expires ON gateway.one_time_links USING btree (expires);
CREATE INDEX one_time_links_person ON gateway.one_time_links USING btree (person_id);
CREATE INDEX predictions_by_requester ON gateway.predictions USING btree (requester, requested);
CREATE INDEX predictions_waiting ON gateway.predictions USING btree (requested) WHERE (finished IS NULL);
CREATE INDEX program_sign_ins_expires ON gateway.program_sign_ins USING btree (expires);
CREATE INDEX reruns_dataset ON gateway.reruns USING btree (dataset_id, version, requested DESC);
CREATE UNIQUE INDEX reruns_idempotency ON gateway.reruns USING btree (requested_by, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX reruns_open ON gateway.reruns USING btree (run_id) WHERE ((finished IS NULL) AND (failed IS NULL));
CREATE INDEX reruns_person ON gateway.reruns USING btree (requested_by, requested);
CREATE INDEX round_datasets_dataset ON gateway.round_datasets USING btree (dataset_id, version);
CREATE INDEX sessions_expires ON gateway.sessions USING btree (expires);
CREATE INDEX sessions_person ON gateway.sessions USING btree (person_id);
CREATE INDEX sign_in_attempts_at ON gateway.sign_in_attempts USING btree (at);
CREATE INDEX sign_in_attempts_of ON gateway.sign_in_attempts USING btree (account, address, at);
CREATE INDEX sign_in_flows_expires ON gateway.sign_in_flows USING btree (expires);
CREATE INDEX tokens_person ON gateway.tokens USING btree (person_id);
CREATE INDEX uploads_owner ON gateway.uploads USING btree (owner_id);
CREATE INDEX uploads_touched ON gateway.uploads USING btree (touched);
CREATE INDEX webhook_deliveries_claimed ON gateway.webhook_deliveries USING btree (webhook_id, claimed_until) WHERE (claimed_until IS NOT NULL);
CREATE INDEX webhook_deliveries_due ON gateway.webhook_deliveries USING btree (due) WHERE (state = 'waiting'::text);
CREATE INDEX webhooks_person ON gateway.webhooks USING btree (person_id);
CREATE TRIGGER audit_log_stays BEFORE DELETE OR UPDATE OR TRUNCATE ON gateway.audit_log FOR EACH STATEMENT EXECUTE FUNCTION gateway.audit_log_stays();
CREATE TRIGGER outbox_notify AFTER INSERT ON gateway.outbox FOR EACH STATEMENT EXECUTE FUNCTION gateway.outbox_notify();
CREATE TRIGGER tell_rights_ended AFTER UPDATE OF suspended ON gateway.people FOR EACH ROW WHEN ((new.suspended IS NOT NULL)) EXECUTE FUNCTION gateway.tell_rights_ended();
CREATE TRIGGER tell_rights_ended AFTER DELETE ON gateway.sessions FOR EACH ROW EXECUTE FUNCTION gateway.tell_rights_ended();
CREATE TRIGGER tell_rights_ended AFTER DELETE ON gateway.tokens FOR EACH ROW EXECUTE FUNCTION gateway.tell_rights_ended();
ALTER TABLE ONLY gateway.audit_log
    ADD CONSTRAINT audit_log_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id);
ALTER TABLE ONLY gateway.consents
    ADD CONSTRAINT consents_dataset_id_version_fkey FOREIGN KEY (dataset_id, version) REFERENCES gateway.datasets(dataset_id, version);
ALTER TABLE ONLY gateway.consents
    ADD CONSTRAINT consents_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id);
ALTER TABLE ONLY gateway.consents
    ADD CONSTRAINT consents_text_sha256_fkey FOREIGN KEY (text_sha256) REFERENCES gateway.agreement_texts(sha256);
ALTER TABLE ONLY gateway.curve_points
    ADD CONSTRAINT curve_points_round_id_fkey FOREIGN KEY (round_id) REFERENCES gateway.rounds(round_id);
ALTER TABLE ONLY gateway.datasets
    ADD CONSTRAINT datasets_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES gateway.people(person_id);
ALTER TABLE ONLY gateway.idempotency_keys
    ADD CONSTRAINT idempotency_keys_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.identities
    ADD CONSTRAINT identities_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.one_time_links
    ADD CONSTRAINT one_time_links_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.program_sign_ins
    ADD CONSTRAINT program_sign_ins_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.reruns
    ADD CONSTRAINT reruns_requested_by_fkey FOREIGN KEY (requested_by) REFERENCES gateway.people(person_id);
ALTER TABLE ONLY gateway.round_datasets
    ADD CONSTRAINT round_datasets_round_id_fkey FOREIGN KEY (round_id) REFERENCES gateway.rounds(round_id);
ALTER TABLE ONLY gateway.round_starts
    ADD CONSTRAINT round_starts_round_id_fkey FOREIGN KEY (round_id) REFERENCES gateway.rounds(round_id);
ALTER TABLE ONLY gateway.sessions
    ADD CONSTRAINT sessions_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.sign_in_flows
    ADD CONSTRAINT sign_in_flows_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.tokens
    ADD CONSTRAINT tokens_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.uploads
    ADD CONSTRAINT uploads_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES gateway.webhooks(webhook_id) ON DELETE CASCADE;
ALTER TABLE ONLY gateway.webhooks
    ADD CONSTRAINT webhooks_person_id_fkey FOREIGN KEY (person_id) REFERENCES gateway.people(person_id) ON DELETE CASCADE;
