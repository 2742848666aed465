-- +goose Up

-- A reservation need not have a day of booking yet: NextGenPSD2 and its like leave it out. What is booked has one.
ALTER TABLE transactions ALTER COLUMN booked_on DROP NOT NULL,
    ADD CONSTRAINT transactions_booked_on CHECK (booked_on IS NOT NULL OR status = 'pending');
ALTER TABLE transactions_history ALTER COLUMN booked_on DROP NOT NULL;
