export function searchParameterNames(): Record<string, string[]>;
