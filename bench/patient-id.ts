/** The id of the patient that every subject reads. The library refuses a response about another resource than the one requested. */
export const PATIENT_ID = '00000000-0000-4000-8000-000000000003';

/** The patients of a batch, with ids of the same length. */
export const PATIENT_IDS = Array.from({ length: 20 }, (_, index) => PATIENT_ID.slice(0, -2) + String(index + 10));
