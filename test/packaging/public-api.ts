import * as ts from 'typescript';

/** The public API of one entry of the package. The compiler reads it from the source or the declarations. */
export interface PublicApi {
  /** Names that exist at run time. */
  readonly values: string[];
  /** Names that exist for the compiler only. */
  readonly types: string[];
  /** `Name` or `Name.member` of everything without a doc comment, with the place of its declaration. */
  readonly undocumented: string[];
}

/**
 * Reads the public faces of `entries`, `.ts` or `.d.ts` files, in one go: what they import is read once. Declarations from
 * `node_modules` of others are not asked for docs.
 */
export function readPublicApis(entries: readonly string[]): PublicApi[] {
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts'],
    experimentalDecorators: true,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  });
  return entries.map((entry) => readPublicApi(entry, program));
}

function readPublicApi(entry: string, program: ts.Program): PublicApi {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) {
    throw new Error(`${entry} is not a module.`);
  }
  const exported = checker.getExportsOfModule(module);
  const valueNames = exported.filter((symbol) => isValue(symbol, checker)).map((symbol) => symbol.name);
  return {
    values: valueNames.toSorted(),
    types: exported
      .map((symbol) => symbol.name)
      .filter((name) => !valueNames.includes(name))
      .toSorted(),
    undocumented: exported
      .flatMap((symbol) => undocumentedParts(symbol.name, resolveAlias(symbol, checker), checker))
      .toSorted(),
  };
}

function resolveAlias(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function isValue(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  const typeOnly = symbol.declarations?.some((declaration) => ts.isTypeOnlyExportDeclaration(declaration)) ?? false;
  return !typeOnly && (resolveAlias(symbol, checker).flags & ts.SymbolFlags.Value) !== 0;
}

function undocumentedParts(name: string, symbol: ts.Symbol, checker: ts.TypeChecker): string[] {
  if (isInternal(symbol)) {
    return [];
  }
  const members = (symbol.declarations ?? []).flatMap((declaration) => publicMembers(declaration, checker));
  return [
    ...(isDocumented(symbol, checker) ? [] : [describe(name, symbol)]),
    ...[...new Set(members)]
      .filter((member) => !isInternal(member) && !isDocumented(member, checker))
      .map((member) => describe(`${name}.${member.name}`, member)),
  ];
}

/**
 * Returns the members of a class, an interface or an object type. It leaves out constructors, because the comment of the
 * class covers them, and keys that are names of resource types, because FHIR documents those.
 */
function publicMembers(declaration: ts.Declaration, checker: ts.TypeChecker): ts.Symbol[] {
  return memberNodes(declaration).flatMap((member) => {
    const hidden = ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
    const symbol = member.name && !ts.isPrivateIdentifier(member.name) && checker.getSymbolAtLocation(member.name);
    return symbol && !hidden && !/^[A-Z]/.test(symbol.name) ? [symbol] : [];
  });
}

function memberNodes(declaration: ts.Declaration): readonly (ts.ClassElement | ts.TypeElement)[] {
  if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) {
    return declaration.members;
  }
  return ts.isTypeAliasDeclaration(declaration) && ts.isTypeLiteralNode(declaration.type)
    ? declaration.type.members
    : [];
}

function isInternal(symbol: ts.Symbol): boolean {
  return symbol.getJsDocTags().some((tag) => tag.name === 'internal');
}

/** Whether it has a doc comment, or inherits one from its interface or base class. */
function isDocumented(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  return (
    symbol.getDocumentationComment(checker).length > 0 ||
    (symbol.declarations ?? []).some((declaration) => ts.getJSDocCommentsAndTags(declaration).length > 0)
  );
}

function describe(name: string, symbol: ts.Symbol): string {
  const declaration = symbol.declarations?.[0];
  const file = declaration?.getSourceFile();
  const line = declaration && file?.getLineAndCharacterOfPosition(declaration.getStart()).line;
  return `${name} (${file?.fileName.replace(/^.*\/(lib|nestjs-medplum)\//, '$1/')}:${(line ?? 0) + 1})`;
}
